import { linkify, safeUrl } from '@unique-cs/design';
import { File, ImageOff, Star } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { useT } from '../../i18n';
import type { Attachment, Body } from '../../model';
import css from './Body.module.css';

/** Longer texts are folded at first. */
const LONG_CHARACTERS = 1_400;
const LONG_LINES = 24;

export function Link({ href, children, className }: { href: string; children: ReactNode; className?: string | undefined }) {
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" className={className}>
      {children}
    </a>
  );
}

export function TextView({ text }: { text: string }) {
  const t = useT();
  const long = text.length > LONG_CHARACTERS || text.split('\n').length > LONG_LINES;
  const [open, setOpen] = useState(false);
  return (
    <>
      <p className={css.text} data-folded={(long && !open) || undefined} dir="auto">
        {linkify(text).map((segment, index) =>
          segment.kind === 'link' ? <Link key={index} href={segment.href}>{segment.text}</Link> : segment.text,
        )}
      </p>
      {long && (
        <button type="button" className={css.fold} aria-expanded={open} onClick={() => setOpen(!open)}>
          {t(open ? 'message.less' : 'message.more')}
        </button>
      )}
    </>
  );
}

function attachmentOf(value: string | Attachment): Partial<Attachment> {
  return typeof value === 'string' ? {} : value;
}

/** A picture in a place of its final size, so that nothing moves when it comes. */
function Picture({ url, alt, width, height }: { url: string | null; alt: string; width?: number | undefined; height?: number | undefined }) {
  const [broken, setBroken] = useState(false);
  const ratio = width && height ? Math.min(3, Math.max(0.4, width / height)) : 4 / 3;
  if (!url || broken) {
    return (
      <span className={css.broken}>
        <ImageOff size={18} aria-hidden="true" /> {alt}
      </span>
    );
  }
  return (
    <Link href={url} className={css.picture}>
      <img src={url} alt={alt} loading="lazy" decoding="async" style={{ aspectRatio: ratio }} onError={() => setBroken(true)} />
    </Link>
  );
}

function FileView({ attachment }: { attachment: Partial<Attachment> }) {
  const t = useT();
  const url = safeUrl(attachment.url);
  const name = attachment.name ?? t('message.file');
  return (
    <span className={css.file}>
      <File size={18} aria-hidden="true" />
      {url ? <Link href={url}>{name}</Link> : name}
    </span>
  );
}

function CardView({ card }: { card: Extract<Body, { kind: 'card' }> }) {
  const [image, url] = [safeUrl(card.image_url), safeUrl(card.url)];
  return (
    <div className={css.card}>
      {image && <Picture url={image} alt={card.title} width={16} height={9} />}
      <p className={css.cardTitle}>{url ? <Link href={url}>{card.title}</Link> : card.title}</p>
      {card.description && <p className={css.cardText}>{card.description}</p>}
      {card.price !== undefined && <p className={css.price}>{card.price}</p>}
      {card.actions && card.actions.length > 0 && (
        <p className={css.actions}>
          {card.actions.map((action, index) => {
            const [label, target] = [action.title ?? action.text ?? '', safeUrl(action.url)];
            return target ? <Link key={index} href={target}>{label}</Link> : <span key={index}>{label}</span>;
          })}
        </p>
      )}
    </div>
  );
}

function Stars({ score, comment }: { score: number; comment?: string | undefined }) {
  const t = useT();
  return (
    <div>
      <span className={css.stars} role="img" aria-label={t('message.rating', { score })}>
        {[1, 2, 3, 4, 5].map((star) => (
          <Star key={star} size={16} fill={star <= score ? 'currentColor' : 'none'} />
        ))}
      </span>
      {comment && <TextView text={comment} />}
    </div>
  );
}

export function BodyView({ body, author }: { body: Body; author: string }) {
  const t = useT();
  switch (body.kind) {
    case 'text':
      return <TextView text={body.text} />;
    case 'image': {
      const { url, name, width, height } = attachmentOf(body.attachment);
      return <Picture url={safeUrl(url)} alt={name ?? t('message.image', { name: author })} width={width} height={height} />;
    }
    case 'file':
      return <FileView attachment={attachmentOf(body.attachment)} />;
    case 'audio': {
      const url = safeUrl(attachmentOf(body.attachment).url);
      return url ? <audio className={css.audio} controls preload="none" src={url} /> : <FileView attachment={attachmentOf(body.attachment)} />;
    }
    case 'card':
      return <CardView card={body} />;
    case 'choices':
      return (
        <>
          <TextView text={body.text} />
          <p className={css.actions}>
            {body.options.map((option, index) => (
              <span key={index}>{typeof option === 'string' ? option : option.title}</span>
            ))}
          </p>
        </>
      );
    case 'rating':
      return <Stars score={body.score} comment={body.comment} />;
    default:
      return <p className={css.unsupported}>{t('message.unsupported')}</p>;
  }
}
