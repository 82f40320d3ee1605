import { useEffect, type Ref } from 'react';
import { useT } from '../../i18n';
import { contactName } from '../../lib/say';
import { Button } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { Composer, type ComposerHandle } from './Composer';
import { Header } from './Header';
import css from './ThreadPane.module.css';
import { Timeline } from './Timeline';

interface Props {
  id: string;
  contactShown: boolean;
  onBack: () => void;
  onContact: () => void;
  composer: Ref<ComposerHandle>;
}

export function ThreadPane({ id, contactShown, onBack, onContact, composer }: Props) {
  const t = useT();
  const desk = useDesk();
  const entry = useDeskState((state) => state.conversations[id]);
  const thread = useDeskState((state) => state.threads[id]);

  useEffect(() => {
    void desk.threads.open(id);
    return () => desk.threads.leave(id);
  }, [desk, id]);

  if (thread?.phase === 'gone') return <Notice text={t('thread.gone')} action={t('thread.back')} onAction={onBack} />;
  if (!entry) {
    const failed = thread?.phase === 'failed';
    return failed ? <Notice text={t('thread.error')} action={t('list.retry')} onAction={() => void desk.threads.open(id)} /> : <Loading />;
  }
  return (
    <section id="thread" className={css.pane} aria-label={t('thread.label', { name: contactName(t, entry.contact) })} tabIndex={-1}>
      <Header entry={entry} contactShown={contactShown} onBack={onBack} onContact={onContact} />
      {!thread || thread.phase === 'loading' ? (
        <Loading />
      ) : thread.phase === 'failed' ? (
        <Notice text={t('thread.error')} action={t('list.retry')} onAction={() => void desk.threads.open(id)} />
      ) : (
        <Timeline key={id} entry={entry} thread={thread} />
      )}
      <Composer key={`composer-${id}`} ref={composer} entry={entry} />
    </section>
  );
}

function Loading() {
  const t = useT();
  return (
    <div className={css.loading} role="status" aria-label={t('thread.loading')}>
      {['46%', '32%', '58%', '26%'].map((width, index) => (
        <span key={width} style={{ width }} data-side={index % 2 ? 'out' : 'in'} />
      ))}
    </div>
  );
}

function Notice({ text, action, onAction }: { text: string; action: string; onAction: () => void }) {
  return (
    <div className={css.notice} role="alert">
      <p>{text}</p>
      <Button onClick={onAction}>{action}</Button>
    </div>
  );
}
