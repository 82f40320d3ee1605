import type { Agent } from '../model';

/** Who is signed in, and with which opaque token. */
export interface Session {
  token: string;
  agent: Agent;
}

const KEY = 'unique-cs:session';

function parse(text: string | null): Session | null {
  if (!text) return null;
  try {
    const value = JSON.parse(text) as Partial<Session>;
    return value.token && value.agent ? (value as Session) : null;
  } catch {
    return null;
  }
}

export function loadSession(): Session | null {
  try {
    return parse(sessionStorage.getItem(KEY)) ?? parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Keeps the session for this tab, or (`stay`) until somebody signs out. */
export function saveSession(session: Session, stay: boolean): void {
  try {
    (stay ? localStorage : sessionStorage).setItem(KEY, JSON.stringify(session));
  } catch {
    // Storage is blocked: the session lasts as long as the page.
  }
}

/** Calls when another tab of this browser has signed out. */
export function onSessionCleared(listener: () => void): () => void {
  const heard = (event: StorageEvent) => {
    if ((event.key === KEY || event.key === null) && !loadSession()) listener();
  };
  addEventListener('storage', heard);
  return () => removeEventListener('storage', heard);
}

export function clearSession(): void {
  try {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was stored where storage is blocked.
  }
}
