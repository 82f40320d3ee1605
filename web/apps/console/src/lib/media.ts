import { useSyncExternalStore } from 'react';

/** True while the media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener('change', listener);
      return () => media.removeEventListener('change', listener);
    },
    () => matchMedia(query).matches,
  );
}

/** Below this one pane is shown at a time; below `DRAWER` the contact is a drawer. */
export const PHONE = '(max-width: 719px)';
export const DRAWER = '(max-width: 1099px)';
