import { IDBFactory } from 'fake-indexeddb';
import { beforeEach, describe, expect, it } from 'vitest';
import { FRESH, IndexedDbStore, MemoryStore, NotHolder, type SessionStore } from '../src/store';
import type { LocalMessage } from '../src/types';

const entry = (localId: string, n?: number, createdAt = 1): LocalMessage => ({
  localId,
  ...(n === undefined ? {} : { n }),
  body: { kind: 'text', text: localId },
  private: false,
  createdAt,
  state: 'sending',
});

describe.each([
  ['memory', async (): Promise<SessionStore> => new MemoryStore()],
  ['IndexedDB', (): Promise<SessionStore> => IndexedDbStore.open('s')],
])('the session store in %s', (_name, open) => {
  beforeEach(() => {
    globalThis.indexedDB = new IDBFactory();
  });

  it('begins fresh', async () => {
    expect(await (await open()).claim('a')).toEqual({ record: FRESH, entries: [] });
  });

  it('gives back what was put, numbered ones first, then by age', async () => {
    const store = await open();
    await store.claim('a');
    await store.apply({ record: { ...FRESH, session: 's_1', next: 3 }, put: [entry('old', undefined, 1), entry('two', 2, 9), entry('one', 1, 8), entry('new', undefined, 2)] }, 'a');
    await store.apply({ remove: ['one'] }, 'a');
    const saved = await store.claim('a');
    expect(saved.record).toMatchObject({ session: 's_1', next: 3 });
    expect(saved.entries.map(({ localId }) => localId)).toEqual(['two', 'old', 'new']);
  });
});

describe('the holder', () => {
  beforeEach(() => {
    globalThis.indexedDB = new IDBFactory();
  });

  it('is the last who claimed: an older one changes nothing any more', async () => {
    const store = await IndexedDbStore.open('s');
    await store.claim('a');
    await store.claim('b');
    await expect(store.apply({ record: { ...FRESH, next: 9 }, put: [entry('x')] }, 'a')).rejects.toBeInstanceOf(NotHolder);
    expect(await store.claim('b')).toEqual({ record: FRESH, entries: [] });
  });

  it('does not matter for a message that another tab hands over', async () => {
    const store = await IndexedDbStore.open('s');
    await store.claim('a');
    await store.apply({ put: [entry('x')] });
    expect((await store.claim('b')).entries).toHaveLength(1);
  });
});
