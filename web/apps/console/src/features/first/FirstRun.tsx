import { Check, Copy, ExternalLink } from 'lucide-react';
import type { ReactNode } from 'react';
import { useT } from '../../i18n';
import { Button } from '../../ui/Button';
import { useDeskState } from '../../ui/context';
import { useCopy } from '../../ui/useCopy';
import css from './FirstRun.module.css';

/** How to put the chat on a site, with the real address and key in the tag. */
export function FirstRun({ heading }: { heading: boolean }) {
  const t = useT();
  const inbox = useDeskState((state) => state.inboxes[0]);
  return (
    <div className={css.first}>
      {heading && (
        <>
          <h1>{t('first.title')}</h1>
          <p className={css.lead}>{t('first.text')}</p>
        </>
      )}
      <ol className={css.steps}>
        <Step n={1} title={t('first.copy.title')} text={t('first.copy.text')}>
          <Tag inboxKey={inbox?.key} />
        </Step>
        <Step n={2} title={t('first.paste.title')} text={t('first.paste.text')} />
        <Step n={3} title={t('first.try.title')} text={t('first.try.text', { inbox: inbox?.name ?? '' })}>
          <p className={css.links}>
            <a className={css.link} href="/demo/" target="_blank" rel="noopener">
              {t('first.demo')}
              <ExternalLink size={14} />
            </a>
            {inbox && (
              <a className={css.link} href={`/chat/${inbox.key}`} target="_blank" rel="noopener">
                {t('first.chat')}
                <ExternalLink size={14} />
              </a>
            )}
          </p>
        </Step>
      </ol>
    </div>
  );
}

function Step({ n, title, text, children }: { n: number; title: string; text: string; children?: ReactNode }) {
  return (
    <li className={css.step}>
      <span className={css.number} aria-hidden="true">{n}</span>
      <div>
        <h2>{title}</h2>
        <p>{text}</p>
        {children}
      </div>
    </li>
  );
}

function Tag({ inboxKey }: { inboxKey: string | undefined }) {
  const t = useT();
  const [copied, copy] = useCopy();
  if (!inboxKey) return <div className={css.tag} aria-hidden="true" />;
  const tag = `<script async src="${location.origin}/widget.js" data-inbox="${inboxKey}"></script>`;
  return (
    <div className={css.tag}>
      <code dir="ltr">{tag}</code>
      <Button size="small" look={copied ? 'plain' : 'primary'} onClick={() => copy(tag)}>
        {copied ? <Check size={14} /> : <Copy size={14} />}
        {t(copied ? 'first.copied' : 'first.copy')}
      </Button>
    </div>
  );
}
