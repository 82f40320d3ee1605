import type { ThreadItem } from '@unique-cs/client';
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import { Down } from './icons';
import { Message } from './message';

const NEAR = 60;

interface Props {
  panel: Panel;
  words: Words;
  /** Changes with every change of the panel. */
  version: number;
}

export function ThreadView({ panel, words, version }: Props): JSX.Element {
  const { t } = words;
  const { items, history, typist } = panel;
  const scroller = useRef<HTMLDivElement>(null);
  const { below, toBottom, onScroll } = useScroll(scroller, panel, items, version);
  const last = items.findLast((item) => item.kind === 'message');
  return (
    <main class="thread">
      <div class="scroll" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-live="polite" aria-label={t('thread')}>
        <div class="flow">
          {history.loading && <p class="hint">{t('loading')}</p>}
          {!history.loading && history.more && (
            <button type="button" class="hint" onClick={() => panel.older()}>
              {t('older')}
            </button>
          )}
          {items.map((item) => (
            <Item key={item.key} item={item} panel={panel} words={words} last={item === last} />
          ))}
          {typist && <Typing name={typist.name || t('team')} words={words} />}
        </div>
      </div>
      {below > 0 && (
        <button type="button" class="pill" onClick={toBottom}>
          <Down /> {t(below === 1 ? 'newMessage' : 'newMessages', { count: below })}
        </button>
      )}
    </main>
  );
}

function Item({ item, panel, words, last }: { item: ThreadItem; panel: Panel; words: Words; last: boolean }): JSX.Element | null {
  if (item.kind === 'day') return <p class="day">{words.day(item.time)}</p>;
  if (item.kind === 'message') return <Message item={item} panel={panel} words={words} last={last} />;
  const text = activity(item.event, words);
  return text === null ? null : <p class="activity">{text}</p>;
}

function activity(event: Extract<ThreadItem, { kind: 'activity' }>['event'], { t }: Words): string | null {
  if (event.name === 'conversation.assigned') return event.data.assignee ? t('joined', { name: event.data.assignee.name || t('team') }) : null;
  if (event.name === 'conversation.status_changed') return t(event.data.status === 'resolved' ? 'resolved' : 'reopened');
  return null;
}

function Typing({ name, words: { t } }: { name: string; words: Words }): JSX.Element {
  return (
    <div class="typing">
      <i />
      <i />
      <i />
      <span class="hidden">{t('typing', { name })}</span>
    </div>
  );
}

interface Scroll {
  /** New messages below the fold. */
  below: number;
  toBottom: () => void;
  onScroll: () => void;
}

/** Follows the newest message while the reader is at the end; else keeps the view still and counts. */
function useScroll(ref: { current: HTMLDivElement | null }, panel: Panel, items: readonly ThreadItem[], version: number): Scroll {
  const atEnd = useRef(true);
  const before = useRef({ first: '', height: 0, newest: '' });
  const [seen, setSeen] = useState('');
  const messages = items.filter((item) => item.kind === 'message');
  const newest = messages.at(-1);

  const toBottom = (): void => {
    const { current } = ref;
    if (current) current.scrollTop = current.scrollHeight;
    atEnd.current = true;
    setSeen(before.current.newest);
    panel.seen();
  };
  useLayoutEffect(() => {
    const { current } = ref;
    if (!current) return;
    const old = before.current;
    before.current = { first: items[0]?.key ?? '', height: current.scrollHeight, newest: newest?.key ?? '' };
    if (atEnd.current || (newest?.own && newest.key !== old.newest)) toBottom();
    else if (old.first !== before.current.first) current.scrollTop += current.scrollHeight - old.height;
  }, [version]);
  useEffect(() => observe(ref.current, () => atEnd.current && toBottom()), []);

  const onScroll = (): void => {
    const { current } = ref;
    if (!current) return;
    atEnd.current = current.scrollHeight - current.scrollTop - current.clientHeight < NEAR;
    if (atEnd.current) setSeen(before.current.newest);
    if (atEnd.current) panel.seen();
    if (current.scrollTop < NEAR) panel.older();
  };
  const at = messages.findLastIndex((item) => item.key === seen);
  return { below: at < 0 ? 0 : messages.length - 1 - at, toBottom, onScroll };
}

/** The keyboard of a phone, late images and late code change the height of the window or of what is in it. */
function observe(element: HTMLElement | null, changed: () => void): (() => void) | undefined {
  if (!element) return undefined;
  const observer = new ResizeObserver(changed);
  for (const one of [element, ...element.children]) observer.observe(one);
  return () => observer.disconnect();
}
