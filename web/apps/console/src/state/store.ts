import { useRef, useSyncExternalStore } from 'react';
import { reduce, type Action } from './reducer';
import type { State } from './state';

export interface Store {
  get(): State;
  dispatch(action: Action): void;
  subscribe(listener: () => void): () => void;
}

/** Listeners hear of a change at once, but of a burst of changes only once in this time. */
const FRAME_MS = 16;

export function createStore(initial: State): Store {
  let state = initial;
  let told = -Infinity;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const listeners = new Set<() => void>();
  const tell = () => {
    timer = null;
    told = performance.now();
    for (const listener of [...listeners]) listener();
  };
  return {
    get: () => state,
    dispatch(action) {
      const next = reduce(state, action);
      if (next === state) return;
      state = next;
      if (timer !== null) return;
      const wait = told + FRAME_MS - performance.now();
      if (wait <= 0) tell();
      else timer = setTimeout(tell, wait);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** A part of the state. `same` keeps the former value where both mean the same, so that nothing renders for it. */
export function useSelector<T>(store: Store, select: (state: State) => T, same: (a: T, b: T) => boolean = Object.is): T {
  const last = useRef<{ value: T } | null>(null);
  const snapshot = () => {
    const value = select(store.get());
    if (last.current && same(last.current.value, value)) return last.current.value;
    last.current = { value };
    return value;
  };
  return useSyncExternalStore(store.subscribe, snapshot);
}

export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => Object.is(item, b[index])));
}
