import { useEffect, useState, type PointerEvent } from 'react';

export interface CalmOrder {
  ids: readonly string[];
  /** Changes that are held back while the pointer rests on the list. */
  held: number;
  release: () => void;
  pointer: { onPointerMove: (event: PointerEvent) => void; onPointerLeave: () => void };
}

function differences(shown: readonly string[], wanted: readonly string[]): number {
  const place = new Map(shown.map((id, index) => [id, index]));
  return wanted.filter((id, index) => !place.has(id) || (place.get(id) ?? 0) > index).length;
}

/**
 * Holds the order of a list still while the pointer is over it, so that nothing moves away under a click. A change of `key` (another
 * list), a key press, or leaving shows the newest order. What left the list stays visible until then.
 */
export function useCalmOrder(wanted: readonly string[], key: string): CalmOrder {
  const [frozen, setFrozen] = useState<{ key: string; ids: readonly string[] } | null>(null);
  const holding = frozen !== null && frozen.key === key && frozen.ids.length > 0;

  useEffect(() => {
    if (!holding) return;
    const release = () => setFrozen(null);
    addEventListener('keydown', release);
    return () => removeEventListener('keydown', release);
  }, [holding]);

  return {
    ids: holding ? frozen.ids : wanted,
    held: holding ? differences(frozen.ids, wanted) : 0,
    release: () => setFrozen({ key, ids: wanted }),
    pointer: {
      onPointerMove: (event) => !holding && event.pointerType === 'mouse' && setFrozen({ key, ids: wanted }),
      onPointerLeave: () => setFrozen(null),
    },
  };
}
