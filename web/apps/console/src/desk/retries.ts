import { ApiError } from '../lib/api';

const RETRY_MS = 3_000;

/** What failed because the server was away, busy or ill is asked for again; what it refused is not. */
export class Retries {
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** True if `again` will run. One thing waits under a `key` at a time. */
  later(key: string, error: unknown, again: () => unknown): boolean {
    const passing = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
    if (!passing) return false;
    clearTimeout(this.timers.get(key));
    this.timers.set(key, setTimeout(() => {
      this.timers.delete(key);
      void again();
    }, RETRY_MS));
    return true;
  }

  stop(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
