import type { LocalMessage } from './types';

/** What must survive a reload so that no message is lost or doubled. */
export interface SessionRecord {
  readonly session: string | null;
  /** `kind:id` of the actor whose session it is. */
  readonly actor: string | null;
  /** The number that the next send gets. */
  readonly next: number;
  /** Connections made so far. */
  readonly c: number;
}

export interface Change {
  readonly record?: SessionRecord;
  readonly put?: readonly LocalMessage[];
  readonly remove?: readonly string[];
}

export interface Saved {
  readonly record: SessionRecord;
  readonly entries: readonly LocalMessage[];
}

/** A store that does not answer must not hold up the messages. */
export const STORE_TIMEOUT = 3_000;

/** Another holder claimed the store: whoever gets this must not send in the session any more. */
export class NotHolder extends Error {
  override name = 'NotHolder';
}

export interface SessionStore {
  /** Makes `holder` the one whose changes count, and reads all. */
  claim(holder: string): Promise<Saved>;
  /** All of the change or nothing; resolves when it is durable. Rejects with `NotHolder` if a holder is named that is not the last claimant. */
  apply(change: Change, holder?: string): Promise<void>;
  close(): void;
}

export const FRESH: SessionRecord = { session: null, actor: null, next: 1, c: 0 };

/** Numbered ones by number, then the others by age. */
export function inOrder(entries: Iterable<LocalMessage>): LocalMessage[] {
  const rank = (entry: LocalMessage): number => entry.n ?? Number.MAX_SAFE_INTEGER;
  return [...entries].sort((a, b) => rank(a) - rank(b) || a.createdAt - b.createdAt || (a.localId < b.localId ? -1 : 1));
}

/** Lives as long as the page, for one holder. */
export class MemoryStore implements SessionStore {
  #record = FRESH;
  readonly #entries = new Map<string, LocalMessage>();

  async claim(): Promise<Saved> {
    return { record: this.#record, entries: inOrder(this.#entries.values()) };
  }

  async apply(change: Change): Promise<void> {
    if (change.record) this.#record = change.record;
    for (const entry of change.put ?? []) this.#entries.set(entry.localId, entry);
    for (const id of change.remove ?? []) this.#entries.delete(id);
  }

  close(): void {}
}

const RECORD = 'record';
const OUTBOX = 'outbox';
const SESSION_KEY = 'session';
const HOLDER_KEY = 'holder';

/** One IndexedDB database for each session store; every change is one transaction with strict durability. */
export class IndexedDbStore implements SessionStore {
  readonly #db: IDBDatabase;

  private constructor(db: IDBDatabase) {
    this.#db = db;
  }

  /** Rejects where IndexedDB is missing or refused (some private modes). */
  static async open(name: string): Promise<IndexedDbStore> {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(RECORD);
      request.result.createObjectStore(OUTBOX, { keyPath: 'localId' });
    };
    const db = await done(request);
    return new IndexedDbStore(db);
  }

  async claim(holder: string): Promise<Saved> {
    const tx = this.#transaction();
    tx.objectStore(RECORD).put(holder, HOLDER_KEY);
    const record = done<SessionRecord | undefined>(tx.objectStore(RECORD).get(SESSION_KEY));
    const entries = done<LocalMessage[]>(tx.objectStore(OUTBOX).getAll());
    return { record: (await record) ?? FRESH, entries: inOrder(await entries) };
  }

  apply(change: Change, holder?: string): Promise<void> {
    const tx = this.#transaction();
    const settled = completed(tx);
    if (holder === undefined) {
      write(tx, change);
      return settled;
    }
    let robbed = false;
    const check = tx.objectStore(RECORD).get(HOLDER_KEY);
    check.onsuccess = () => {
      robbed = check.result !== holder;
      if (robbed) tx.abort();
      else write(tx, change);
    };
    return settled.catch((error: unknown) => {
      throw robbed ? new NotHolder() : error;
    });
  }

  close(): void {
    this.#db.close();
  }

  #transaction(): IDBTransaction {
    return this.#db.transaction([RECORD, OUTBOX], 'readwrite', { durability: 'strict' });
  }
}

function write(tx: IDBTransaction, change: Change): void {
  const outbox = tx.objectStore(OUTBOX);
  if (change.record) tx.objectStore(RECORD).put(change.record, SESSION_KEY);
  for (const entry of change.put ?? []) outbox.put(entry);
  for (const id of change.remove ?? []) outbox.delete(id);
}

function completed(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error ?? new Error('the transaction was aborted'));
  });
}

/** Rejects when the promise takes longer than `ms`. */
export function within<T>(ms: number, promise: T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    Promise.resolve(promise).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}
