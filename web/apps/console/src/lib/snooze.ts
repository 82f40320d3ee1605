/** When a conversation may come back. Times are milliseconds since 1970 UTC; days and hours those of this browser. */
const HOUR = 3_600_000;
const MORNING = 9;
const MONDAY = 1;

export type SnoozeName = 'hour' | 'tomorrow' | 'week' | 'reply';

export interface Snooze {
  name: SnoozeName;
  /** Absent where only the customer's reply ends it. */
  until?: number;
}

function morning(now: number, days: number): number {
  const date = new Date(now);
  date.setDate(date.getDate() + days);
  return date.setHours(MORNING, 0, 0, 0);
}

export function untilTomorrow(now: number): number {
  return morning(now, 1);
}

/** What is offered, the soonest first; next Monday only where that is not tomorrow. */
export function snoozes(now: number): Snooze[] {
  const toMonday = (MONDAY + 7 - new Date(now).getDay()) % 7 || 7;
  return [
    { name: 'hour', until: now + HOUR },
    { name: 'tomorrow', until: untilTomorrow(now) },
    ...(toMonday > 1 ? [{ name: 'week', until: morning(now, toMonday) } as const] : []),
    { name: 'reply' },
  ];
}
