import { BadgeCheck, Check, Copy, X } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';
import { useLanguage, useT } from '../../i18n';
import { describeDevice } from '../../lib/device';
import { useNow } from '../../lib/now';
import { goOnClick } from '../../lib/route';
import { contactName, rowLine } from '../../lib/say';
import type { Contact, Conversation } from '../../model';
import { safeUrl } from '@unique-cs/design';
import type { Entry } from '../../state/state';
import { Avatar } from '../../ui/Avatar';
import { IconButton } from '../../ui/Button';
import { useDesk, useDeskState } from '../../ui/context';
import { useCopy } from '../../ui/useCopy';
import { StatusWord } from '../thread/Header';
import { Link } from '../thread/BodyView';
import css from './ContactPane.module.css';

export function ContactPane({ id, onClose }: { id: string; onClose?: (() => void) | undefined }) {
  const t = useT();
  const entry = useDeskState((state) => state.conversations[id]);
  if (!entry) return <aside className={css.pane} aria-label={t('contact.title')} />;
  return (
    <aside className={css.pane} aria-label={t('contact.title')}>
      <Head contact={entry.contact} onClose={onClose} />
      <Visit contact={entry.contact} />
      <Details entry={entry} />
      <Attributes contact={entry.contact} />
      <Previous contact={entry.contact} current={id} status={entry.status} />
    </aside>
  );
}

function Head({ contact, onClose }: { contact: Contact; onClose?: (() => void) | undefined }) {
  const t = useT();
  const online = useDeskState((state) => state.presence[contact.id]);
  const [copied, copy] = useCopy();
  return (
    <header className={css.head}>
      {onClose && (
        <IconButton className={css.close} label={t('contact.close')} onClick={onClose}>
          <X size={18} />
        </IconButton>
      )}
      <Avatar id={contact.id} name={contact.name || contact.email || ''} size="large" online={online} />
      <h2 className={css.name} dir="auto">{contactName(t, contact)}</h2>
      <span className={css.badge} data-verified={contact.verified || undefined} title={t(contact.verified ? 'contact.verified.hint' : 'contact.unverified.hint')}>
        {contact.verified && <BadgeCheck size={14} aria-hidden="true" />}
        {t(contact.verified ? 'contact.verified' : 'contact.unverified')}
      </span>
      {contact.email && (
        <p className={css.email}>
          <a href={`mailto:${encodeURIComponent(contact.email)}`}>{contact.email}</a>
          <IconButton className={css.copy} label={t(copied ? 'contact.copied' : 'contact.copy')} onClick={() => copy(contact.email ?? '')}>
            {copied ? <Check size={14} /> : <Copy size={14} />}
          </IconButton>
        </p>
      )}
    </header>
  );
}

function Section({ title, children, aside }: { title: string; children: ReactNode; aside?: ReactNode }) {
  return (
    <section className={css.section}>
      <h3>
        {title}
        {aside}
      </h3>
      {children}
    </section>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className={css.fact}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function shortAddress(url: string): string {
  const { host, pathname, search } = new URL(url);
  return pathname === '/' && !search ? host : decoded(pathname + search);
}

/** A percent sign may stand for itself: visitors bring any address. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function Address({ url, title }: { url: string; title?: string | null | undefined }) {
  const safe = safeUrl(url);
  if (!safe) return <>{url}</>;
  return (
    <Link href={safe}>
      {title && <span className={css.pageTitle}>{title}</span>}
      <span className={css.url} title={safe}>{shortAddress(safe)}</span>
    </Link>
  );
}

function languageName(locale: string, tag: string): string {
  try {
    return new Intl.DisplayNames(locale, { type: 'language' }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

function Visit({ contact }: { contact: Contact }) {
  const { t, locale, time } = useLanguage();
  const now = useNow();
  const online = useDeskState((state) => state.presence[contact.id]);
  const { visit } = contact;
  if (!visit) return null;
  const clock = visit.time_zone ? time.clockIn(visit.time_zone, now) : null;
  return (
    <Section title={t('contact.visit')} aside={online && <span className={css.live}>{t('contact.live')}</span>}>
      <dl>
        {visit.url && <Fact label={t('contact.page')}><Address url={visit.url} title={visit.title} /></Fact>}
        <Fact label={t('contact.referrer')}>{visit.referrer ? <Address url={visit.referrer} /> : t('contact.direct')}</Fact>
        <Fact label={t('contact.device')}>{describeDevice(visit.user_agent) ?? t('contact.unknown')}</Fact>
        {visit.language && <Fact label={t('contact.language')}>{languageName(locale, visit.language)}</Fact>}
        {clock && <Fact label={t('contact.time')}>{clock} <span className={css.soft}>{visit.time_zone?.split('/').pop()?.replaceAll('_', ' ')}</span></Fact>}
      </dl>
    </Section>
  );
}

function Details({ entry }: { entry: Entry }) {
  const { t, time } = useLanguage();
  return (
    <Section title={t('contact.conversation')}>
      <dl>
        <Fact label={t('contact.inbox')}>{entry.inbox.name}</Fact>
        <Fact label={t('thread.assign')}>{entry.assignee?.name ?? t('thread.unassigned')}</Fact>
        <Fact label={t('contact.opened')}>{time.full(entry.created_at)}</Fact>
        <Fact label={t('contact.since')}>{time.full(entry.contact.created_at)}</Fact>
        {entry.contact.identifier && <Fact label={t('contact.identifier')}>{entry.contact.identifier}</Fact>}
        {entry.labels.length > 0 && (
          <Fact label={t('contact.labels')}>
            <span className={css.labels}>{entry.labels.map((label) => <span key={label}>{label}</span>)}</span>
          </Fact>
        )}
      </dl>
    </Section>
  );
}

function Attributes({ contact }: { contact: Contact }) {
  const t = useT();
  const facts = Object.entries(contact.attributes ?? {});
  if (!facts.length) return null;
  return (
    <Section title={t('contact.attributes')}>
      <dl>
        {facts.map(([key, value]) => (
          <Fact key={key} label={key}>{typeof value === 'object' ? JSON.stringify(value) : String(value)}</Fact>
        ))}
      </dl>
    </Section>
  );
}

/** The contact's other conversations, read when the contact changes. */
function Previous({ contact, current, status }: { contact: Contact; current: string; status: string }) {
  const { t, time } = useLanguage();
  const desk = useDesk();
  const now = useNow();
  const me = useDeskState((state) => state.me.id);
  const [list, setList] = useState<readonly Conversation[] | null>(null);
  useEffect(() => {
    let wanted = true;
    setList(null);
    desk.earlierConversations(contact).then(
      (found) => wanted && setList(found),
      () => undefined,
    );
    return () => {
      wanted = false;
    };
    // The status is a dependency because resolving moves a conversation into the past.
  }, [desk, contact.id, status]);
  const others = list?.filter((one) => one.id !== current);
  return (
    <Section title={t('contact.previous')} aside={others && others.length > 0 && <span className={css.soft}>{others.length}</span>}>
      {others?.length === 0 && <p className={css.soft}>{t('contact.previous.none')}</p>}
      <ul className={css.previous}>
        {others?.map((one) => (
          <li key={one.id}>
            <a href={`#/c/${one.id}`} onClick={goOnClick({ page: 'desk', conversation: one.id })}>
              <span className={css.previousLine} dir="auto">{rowLine(t, one.last_message, me)}</span>
              <span className={css.previousFoot}>
                <StatusWord status={one.status} />
                <time>{time.ago(one.updated_at, now)}</time>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </Section>
  );
}
