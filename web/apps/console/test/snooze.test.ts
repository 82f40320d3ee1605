import { describe, expect, it } from 'vitest';
import { snoozes } from '../src/lib/snooze';

/** A time of December 2026, whose 7th is a Monday. */
const at = (day: number, hour: number, minute = 0) => new Date(2026, 11, day, hour, minute).getTime();

describe('how long a conversation may be snoozed', () => {
  it('is an hour, until tomorrow, until Monday, or until the customer replies', () => {
    expect(snoozes(at(2, 17, 30))).toEqual([
      { name: 'hour', until: at(2, 18, 30) },
      { name: 'tomorrow', until: at(3, 9) },
      { name: 'week', until: at(7, 9) },
      { name: 'reply' },
    ]);
  });

  it('goes on after midnight, and over the end of the year', () => {
    expect(snoozes(at(31, 23, 45)).map(({ until }) => until)).toEqual([at(32, 0, 45), at(32, 9), at(35, 9), undefined]);
  });

  it('offers the Monday that comes next: on a Monday in a week, on a Sunday as tomorrow only', () => {
    expect(snoozes(at(7, 8))[2]).toEqual({ name: 'week', until: at(14, 9) });
    expect(snoozes(at(6, 12)).map(({ name }) => name)).toEqual(['hour', 'tomorrow', 'reply']);
    expect(snoozes(at(6, 12))[1]?.until).toBe(at(7, 9));
  });
});
