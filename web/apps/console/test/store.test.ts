import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { initialState } from '../src/state/state';
import { createStore } from '../src/state/store';
import { ANN, conversation, ME, says } from './words';

describe('the store', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('tells of a first change at once, and of a burst once at its end', () => {
    const store = createStore(initialState(ME));
    const seen: (number | undefined)[] = [];
    store.dispatch({ type: 'conversations', conversations: [conversation({ seq: 1 })] });
    vi.advanceTimersByTime(100);
    store.subscribe(() => seen.push(store.get().conversations['5000']?.seq));
    for (const seq of [2, 3, 4, 5]) store.dispatch({ type: 'event', event: says(seq, ANN) });
    expect(seen).toEqual([2]);
    vi.advanceTimersByTime(100);
    expect(seen).toEqual([2, 5]);
  });

  it('tells nobody of what changes nothing', () => {
    const store = createStore(initialState(ME));
    const listener = vi.fn();
    store.subscribe(listener);
    store.dispatch({ type: 'event', event: says(1, ANN) });
    store.dispatch({ type: 'typing-ended', now: 0 });
    vi.advanceTimersByTime(100);
    expect(listener).not.toHaveBeenCalled();
  });
});
