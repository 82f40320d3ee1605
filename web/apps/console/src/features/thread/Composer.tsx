import { Lock, SendHorizontal } from 'lucide-react';
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState, type KeyboardEvent, type Ref } from 'react';
import { useT } from '../../i18n';
import { draftOf, keepDraft, type Draft, type Mode } from '../../lib/drafts';
import { contactName } from '../../lib/say';
import type { Entry } from '../../state/state';
import { Button } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { keysOf } from '../../lib/shortcuts';
import css from './Composer.module.css';
import { Colleagues } from './Typing';

const MODES: readonly Mode[] = ['reply', 'note'];
const MOST_LINES = 8;
const TYPING_STOPS_MS = 5_000;

export interface ComposerHandle {
  focus(mode: Mode): void;
}

/** Grows with its text up to eight lines. */
function useGrowing(text: string) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const room = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
    element.style.height = '0';
    element.style.height = `${Math.min(element.scrollHeight, parseFloat(style.lineHeight) * MOST_LINES + room)}px`;
  }, [text]);
  return area;
}

/** Says that we are writing, and that we stopped. */
function useTypingSignal(conversation: string, note: boolean) {
  const desk = useDesk();
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const stop = () => {
    if (timer.current === null) return;
    clearTimeout(timer.current);
    timer.current = null;
    desk.typing(conversation, false, note);
  };
  const type = (text: string) => {
    if (!text) return stop();
    if (timer.current) clearTimeout(timer.current);
    timer.current = setTimeout(stop, TYPING_STOPS_MS);
    desk.typing(conversation, true, note);
  };
  // Leaving the conversation, or changing between reply and note, ends what was announced.
  useEffect(() => stop, [conversation, note]);
  return { type, sent: () => timer.current && (clearTimeout(timer.current), (timer.current = null)) };
}

/** The text in work; the caller gives a `key`, so that each conversation has its own. */
export function Composer({ entry, ref }: { entry: Entry; ref?: Ref<ComposerHandle> }) {
  const t = useT();
  const desk = useDesk();
  const [draft, setDraft] = useState<Draft>(() => draftOf(entry.id));
  const text = draft[draft.mode];
  const note = draft.mode === 'note';
  const area = useGrowing(text);
  const typing = useTypingSignal(entry.id, note);

  const change = (next: Draft) => {
    keepDraft(entry.id, next);
    setDraft(next);
  };
  const setMode = (mode: Mode) => {
    change({ ...draft, mode });
    area.current?.focus();
  };
  useImperativeHandle(ref, () => ({ focus: setMode }));

  const send = () => {
    if (!text.trim()) return;
    typing.sent();
    desk.send(entry.id, text.trim(), note);
    change({ ...draft, [draft.mode]: '' });
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While a Chinese word is being composed, Enter chooses it; Safari ends the composition before the key, hence 229.
    if (event.key !== 'Enter' || event.shiftKey || event.altKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };

  return (
    <div className={css.wrap}>
      <Colleagues conversation={entry.id} />
      <div className={css.composer} data-mode={draft.mode}>
        <ModeTabs mode={draft.mode} onChange={setMode} />
        <textarea
          ref={area}
          id="composer"
          rows={1}
          value={text}
          dir="auto"
          aria-label={t('composer.label')}
          placeholder={note ? t('composer.note.hint') : t('composer.reply.hint', { name: contactName(t, entry.contact) })}
          onChange={(event) => {
            change({ ...draft, [draft.mode]: event.target.value });
            typing.type(event.target.value);
          }}
          onKeyDown={onKeyDown}
        />
        <Foot note={note} empty={!text.trim()} resolved={entry.status === 'resolved'} onSend={send} />
      </div>
    </div>
  );
}

function ModeTabs({ mode, onChange }: { mode: Mode; onChange: (mode: Mode) => void }) {
  const t = useT();
  return (
    <div className={css.modes} role="group" aria-label={t('composer.mode')}>
      {MODES.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === mode}
          title={keysOf(one).join(' + ')}
          onClick={() => onChange(one)}
        >
          {one === 'note' && <Lock size={12} aria-hidden="true" />}
          {t(`composer.${one}`)}
        </button>
      ))}
    </div>
  );
}

function Foot({ note, empty, resolved, onSend }: { note: boolean; empty: boolean; resolved: boolean; onSend: () => void }) {
  const t = useT();
  // A first connection that is still being made is nothing to warn of.
  const away = useDeskState((state) => state.link.state === 'reconnecting' || state.link.state === 'stopped');
  const hint = away ? 'composer.offline' : resolved && !note ? 'composer.resolved' : null;
  return (
    <div className={css.foot}>
      <p className={css.hint} data-strong={hint ? true : undefined}>
        {t(hint ?? 'composer.keys')}
      </p>
      <Button look={note ? 'note' : 'primary'} disabled={empty} onClick={onSend}>
        {t(note ? 'composer.addnote' : 'composer.send')}
        {!note && <SendHorizontal size={14} aria-hidden="true" />}
      </Button>
    </div>
  );
}
