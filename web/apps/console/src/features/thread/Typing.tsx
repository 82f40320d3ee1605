import { useT } from '../../i18n';
import { contactName } from '../../lib/say';
import { sameItems } from '../../state/store';
import { Avatar } from '../../ui/Avatar';
import { useDeskState } from '../../ui/context';
import css from './Typing.module.css';

/** What the contact is writing: dots, and the text so far where the widget tells it. */
export function Typing({ conversation }: { conversation: string }) {
  const t = useT();
  const typists = useDeskState((state) => state.typists.filter((one) => one.conversation === conversation && one.actor.kind === 'contact'), sameItems);
  const contact = useDeskState((state) => state.conversations[conversation]?.contact);
  const typist = typists[0];
  if (!typist || !contact) return null;
  const name = contactName(t, contact);
  return (
    <div className={css.typing} aria-live="polite">
      <Avatar id={contact.id} name={contact.name ?? ''} size="small" />
      <div className={css.bubble}>
        {typist.preview && <span className={css.preview} dir="auto">{typist.preview}</span>}
        <span className={css.dots} role="img" aria-label={t('typing.contact', { name })}>
          <i /><i /><i />
        </span>
      </div>
    </div>
  );
}

/** Colleagues who write in the same conversation. */
export function Colleagues({ conversation }: { conversation: string }) {
  const t = useT();
  const typists = useDeskState((state) => state.typists.filter((one) => one.conversation === conversation && one.actor.kind !== 'contact'), sameItems);
  return (
    <p className={css.colleagues} aria-live="polite">
      {typists.map((one) => t(one.private ? 'typing.note' : 'typing.agent', { name: one.actor.name || t('actor.agent') })).join(' · ')}
    </p>
  );
}
