/** What was written and not sent, for each conversation; it lasts as long as the tab. */
export type Mode = 'reply' | 'note';
export interface Draft {
  mode: Mode;
  reply: string;
  note: string;
}

const EMPTY: Draft = { mode: 'reply', reply: '', note: '' };
const PREFIX = 'unique-cs:draft:';
const drafts = new Map<string, Draft>();

export function draftOf(conversation: string): Draft {
  const known = drafts.get(conversation);
  if (known) return known;
  try {
    return { ...EMPTY, ...(JSON.parse(sessionStorage.getItem(PREFIX + conversation) ?? '{}') as Partial<Draft>) };
  } catch {
    return EMPTY;
  }
}

export function keepDraft(conversation: string, draft: Draft): void {
  drafts.set(conversation, draft);
  try {
    if (draft.reply || draft.note) sessionStorage.setItem(PREFIX + conversation, JSON.stringify(draft));
    else sessionStorage.removeItem(PREFIX + conversation);
  } catch {
    // Without storage a draft still lasts until the page goes.
  }
}

/** Signing out leaves nothing of what was written to the next person at this browser. */
export function forgetDrafts(): void {
  drafts.clear();
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  } catch {
    // Nothing was stored.
  }
}
