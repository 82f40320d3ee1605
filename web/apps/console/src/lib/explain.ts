import type { Key, T } from '../i18n';
import { ApiError } from './api';

/** What to say about certain statuses, where the usual words do not fit. */
export type Words = Partial<Record<number, Key>>;

const DEFAULT_WAIT_S = 30;

/** What a person is told of a request that failed. */
export function explain(t: T, error: unknown, words: Words = {}): string {
  const status = error instanceof ApiError ? error.status : null;
  const special = status === null ? undefined : words[status];
  if (special) return t(special);
  if (status === 0) return t('signin.unreachable');
  if (error instanceof ApiError && status === 429) return t('signin.limited', { count: error.retryAfter ?? DEFAULT_WAIT_S });
  return t('thread.error.action', { reason: error instanceof Error ? error.message : String(error) });
}
