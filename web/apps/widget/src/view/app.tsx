import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import { Banner } from './banner';
import { Composer } from './composer';
import { Greeting } from './greeting';
import { Bubble, Close } from './icons';
import { ThreadView } from './thread';

export function App({ panel }: { panel: Panel }): JSX.Element {
  const version = useVersion(panel);
  const { words } = panel.options;
  useTitle(panel, words);
  useEscape(panel);
  const { fresh } = panel;
  return (
    <div class={`panel ${fresh ? 'fresh' : ''}`}>
      <Header panel={panel} words={words} />
      {fresh ? <Greeting panel={panel} words={words} /> : <ThreadView panel={panel} words={words} version={version} />}
      <Banner panel={panel} words={words} />
      <Composer panel={panel} words={words} />
    </div>
  );
}

function Header({ panel, words: { t } }: { panel: Panel; words: Words }): JSX.Element {
  const { assignee, settings } = panel;
  return (
    <header>
      <span class="badge">{assignee === undefined ? <Bubble /> : [...assignee][0]?.toLocaleUpperCase()}</span>
      <div class="who">
        <h1>{settings.title ?? t('title')}</h1>
        <p>{assignee === undefined ? (settings.subtitle ?? t('subtitle')) : t('withAgent', { name: assignee })}</p>
      </div>
      {!panel.standalone && (
        <button type="button" class="icon" aria-label={t('close')} onClick={() => panel.hide()}>
          <Close />
        </button>
      )}
    </header>
  );
}

/** Draws anew at each change, once a frame. */
function useVersion(panel: Panel): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    let asked = 0;
    const end = panel.subscribe(() => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        setVersion((value) => value + 1);
      });
      // A hidden tab gets no frames, but its title counts the unread.
      if (document.visibilityState === 'hidden') setVersion((value) => value + 1);
    });
    setVersion((value) => value + 1);
    return () => {
      cancelAnimationFrame(asked);
      end();
    };
  }, [panel]);
  return version;
}

function useTitle(panel: Panel, { t }: Words): void {
  const title = panel.settings.title ?? t('chat');
  const count = panel.unread;
  useEffect(() => {
    document.title = count > 0 ? `(${count}) ${title}` : title;
  }, [title, count]);
}

function useEscape(panel: Panel): void {
  useEffect(() => {
    const close = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && !event.isComposing) panel.hide();
    };
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, [panel]);
}
