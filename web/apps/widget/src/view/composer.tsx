import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import { Send } from './icons';

const MAX_LENGTH = 8_000;

export function Composer({ panel, words: { t } }: { panel: Panel; words: Words }): JSX.Element {
  const [draft, setDraft] = useDraft(panel.options.inbox);
  const field = useRef<HTMLTextAreaElement>(null);
  useGrowing(field, draft);
  useFocus(field, panel.shown);

  const write = (text: string): void => {
    setDraft(text);
    panel.typing(text);
  };
  const send = (): void => {
    panel.say(draft);
    setDraft('');
    field.current?.focus();
  };
  const key = (event: KeyboardEvent): void => {
    // Enter that ends an input method's word is not ours; Safari marks it with key code 229 only.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        rows={1}
        dir="auto"
        value={draft}
        maxLength={MAX_LENGTH}
        enterkeyhint="send"
        placeholder={t('placeholder')}
        aria-label={t('placeholder')}
        onInput={(event) => write(event.currentTarget.value)}
        onBlur={() => panel.typing('')}
        onKeyDown={key}
      />
      <button type="submit" class="send" aria-label={t('send')} disabled={draft.trim() === ''}>
        <Send />
      </button>
    </form>
  );
}

/** What is half written survives a reload of this tab. */
function useDraft(inbox: string): [string, (text: string) => void] {
  const key = `unique-cs:draft:${inbox}`;
  const [draft, setDraft] = useState(() => stored(key));
  return [
    draft,
    (text) => {
      setDraft(text);
      try {
        if (text) sessionStorage.setItem(key, text);
        else sessionStorage.removeItem(key);
      } catch {
        // Storage is refused: the draft lives as long as the page.
      }
    },
  ];
}

function stored(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}

function useGrowing(field: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const { current } = field;
    if (!current) return;
    current.style.height = 'auto';
    current.style.height = `${current.scrollHeight}px`;
  }, [field, text]);
}

/** On opening, except on phones, where the keyboard would cover the greeting. */
function useFocus(field: { current: HTMLTextAreaElement | null }, shown: boolean): void {
  useEffect(() => {
    if (shown && matchMedia('(pointer: fine)').matches) field.current?.focus({ preventScroll: true });
  }, [field, shown]);
}
