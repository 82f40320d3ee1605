import type { MessageItem } from '@unique-cs/client';
import type { JSX } from 'preact';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import type { TextKey } from '../texts/en';
import { BodyView, bare } from './body';
import { MARKS, Person } from './icons';

const COLOURS = 4;

interface Props {
  item: MessageItem;
  panel: Panel;
  words: Words;
  /** The newest message: only its choices can still be made. */
  last: boolean;
}

export function Message({ item, panel, words, last }: Props): JSX.Element {
  const ours = item.side === 'ours';
  const classes = ['message', ours ? 'ours' : 'theirs', item.first && 'first', item.last && 'last', item.mark === 'failed' && 'bad'];
  return (
    <article class={classes.filter(Boolean).join(' ')} aria-label={ours ? words.t('you') : name(item, words)}>
      {!ours && <Avatar item={item} />}
      <div class="column">
        {!ours && item.first && <span class="name">{name(item, words)}</span>}
        <div class={`bubble ${bare(item.body) && !item.deleted ? 'bare' : ''}`} dir="auto">
          {item.deleted ? <em>{words.t('deleted')}</em> : <BodyView body={item.body} panel={panel} words={words} active={last && !ours} />}
        </div>
        <Meta item={item} panel={panel} words={words} />
      </div>
    </article>
  );
}

function Avatar({ item }: { item: MessageItem }): JSX.Element {
  if (!item.last) return <span class="avatar" />;
  const { kind, name: called, id } = item.actor;
  return (
    <span class={`avatar tint${Number(id.slice(-3)) % COLOURS}`} aria-hidden="true">
      {kind === 'agent' && called ? [...called][0]?.toLocaleUpperCase() : <Person />}
    </span>
  );
}

function name({ actor }: MessageItem, { t }: Words): string {
  return actor.name || t(actor.kind === 'bot' ? 'assistant' : 'team');
}

/** Time and how far it came; under the last of a group, and wherever something is not as it should be. */
function Meta({ item, panel, words: { t, clock } }: { item: MessageItem; panel: Panel; words: Words }): JSX.Element | null {
  const { mark, localId } = item;
  if (mark === 'failed' && localId !== undefined) {
    return (
      <div class="meta failed" role="alert">
        <MARKS.failed /> {t(failure(item))}
        <button type="button" onClick={() => panel.retry(localId)}>
          {t('retry')}
        </button>
        <button type="button" onClick={() => panel.discard(localId)}>
          {t('discard')}
        </button>
      </div>
    );
  }
  if (!item.last && mark !== 'sending') return null;
  const Mark = mark && MARKS[mark];
  return (
    <div class="meta">
      {item.edited && <span>{t('edited')}</span>}
      {mark === 'sending' ? <span>{t(panel.status.state === 'online' ? mark : 'unsent')}</span> : <time dateTime={new Date(item.time).toISOString()}>{clock(item.time)}</time>}
      {Mark && (
        <span class={`mark ${mark}`} role="img" aria-label={t(mark)} title={t(mark)}>
          <Mark />
        </span>
      )}
    </div>
  );
}

function failure({ error }: MessageItem): TextKey {
  return error?.code === 'too_large' ? 'failedTooLarge' : 'failed';
}
