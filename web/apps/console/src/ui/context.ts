import { createContext, use } from 'react';
import type { Desk } from '../desk/desk';
import { useSelector } from '../state/store';
import type { State } from '../state/state';

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = use(DeskContext);
  if (!desk) throw new Error('used outside of a signed-in desk');
  return desk;
}

export function useDeskState<T>(select: (state: State) => T, same?: (a: T, b: T) => boolean): T {
  return useSelector(useDesk().store, select, same);
}
