import type { CloseFrame } from './frames';
import type { StopReason } from './types';

export const CLOSE = { fault: 4500, heartbeat: 4504 } as const;

/** What a client does after a connection ended. */
export type Comeback = 'never' | 'token' | 'backoff' | 'once' | 'later';

const KNOWN: Readonly<Record<number, Comeback>> = {
  4400: 'never',
  4403: 'never',
  4413: 'never',
  4401: 'token',
  4408: 'backoff',
  4409: 'once',
};

/** The closed table of protocol.md, "Errors and closing": unknown and missing codes count as 4500, unless the server said not to return. */
export function comeback(close: Partial<CloseFrame>): Comeback {
  const known = KNOWN[close.code ?? 0];
  if (known) return known;
  return close.reconnect === false ? 'never' : 'later';
}

const REASONS: Readonly<Record<number, StopReason>> = {
  4400: 'bad_frame',
  4401: 'unauthorized',
  4403: 'forbidden',
  4409: 'replaced',
  4413: 'too_large',
};

export function stopReason(code: number | undefined): StopReason {
  return REASONS[code ?? 0] ?? 'stopped';
}
