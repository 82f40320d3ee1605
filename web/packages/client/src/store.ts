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
const HOLDER = 'holder';
const ONLY = 'only';

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
      // There is room for one holder: whoever puts itself there beside another breaks the index, and so its whole transaction.
      request.result.createObjectStore(HOLDER, { keyPath: 'id' }).createIndex(ONLY, ONLY, { unique: true });
    };
    return new IndexedDbStore(await done(request));
  }

  async claim(holder: string): Promise<Saved> {
    const tx = this.#transaction();
    tx.objectStore(HOLDER).clear();
    tx.objectStore(HOLDER).put({ id: holder, only: 1 });
    const record = done<SessionRecord | undefined>(tx.objectStore(RECORD).get(RECORD));
    const entries = done<LocalMessage[]>(tx.objectStore(OUTBOX).getAll());
    return { record: (await record) ?? FRESH, entries: inOrder(await entries) };
  }

  apply({ record, put = [], remove = [] }: Change, holder?: string): Promise<void> {
    const tx = this.#transaction();
    const outbox = tx.objectStore(OUTBOX);
    if (holder !== undefined) tx.objectStore(HOLDER).put({ id: holder, only: 1 });
    if (record) tx.objectStore(RECORD).put(record, RECORD);
    for (const entry of put) outbox.put(entry);
    for (const id of remove) outbox.delete(id);
    // Asked for now, a page that is left in this very moment does not take the change with it.
    tx.commit();
    return new Promise((resolve, reject) => {
      tx.oncomplete = () => resolve();
      tx.onabort = () => reject(tx.error?.name === 'ConstraintError' ? new NotHolder() : tx.error);
    });
  }

  close(): void {
    this.#db.close();
  }

  #transaction(): IDBTransaction {
    return this.#db.transaction([RECORD, OUTBOX, HOLDER], 'readwrite', { durability: 'strict' });
  }
}

/** Rejects when the promise takes longer than `ms`. */
export function within<T>(ms: number, promise: T | Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms);
    Promise.resolve(promise).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
