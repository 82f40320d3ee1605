import type { Attachment } from '@unique-cs/client';
import { safeUrl } from '@unique-cs/design';
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';
import { Icon } from './icons';
import styles from './rich.css?inline';
import { Link, Text, type BodyProps } from './text';

const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

/** Bodies other than text; what is unknown says so. */
export function RichBody({ body, ...rest }: BodyProps): JSX.Element {
  switch (body.kind) {
    case 'image':
      return <Image attachment={attachment(body.attachment)} words={rest.words} />;
    case 'file':
    case 'audio':
      return <File attachment={attachment(body.attachment)} label={rest.words.t(body.kind)} />;
    case 'card':
      return <Card body={body} {...rest} />;
    case 'choices':
      return <Choices body={body} {...rest} />;
    case 'rating':
      return <Rating score={body.score} comment={body.comment} words={rest.words} />;
    default:
      return <em>{rest.words.t('unsupported')}</em>;
  }
}

function attachment(value: string | Attachment): Attachment {
  return typeof value === 'string' ? { id: value } : value;
}

/** Addresses of attachments may be on this very host. */
function source({ url }: Attachment): string | null {
  return url?.startsWith('/') && !url.startsWith('//') ? url : safeUrl(url);
}

function Image({ attachment: image, words }: { attachment: Attachment; words: Words }): JSX.Element {
  const src = source(image);
  const [broken, setBroken] = useState(false);
  if (src === null || broken) return <File attachment={image} label={words.t('image')} />;
  return (
    <a href={src} target="_blank" rel="noopener noreferrer">
      <img src={src} alt={image.name ?? words.t('image')} width={image.width ?? 4} height={image.height ?? 3} loading="lazy" onError={() => setBroken(true)} />
    </a>
  );
}

function File({ attachment: file, label }: { attachment: Attachment; label: string }): JSX.Element {
  const href = source(file);
  const content = (
    <>
      <Icon d="M14 3v5h5M14 3H6a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1V8z" />
      <span>
        <b>{file.name ?? label}</b>
        {file.size !== undefined && <small>{size(file.size)}</small>}
      </span>
    </>
  );
  return href === null ? <span class="file">{content}</span> : <a class="file" href={href} target="_blank" rel="noopener noreferrer">{content}</a>;
}

function size(bytes: number): string {
  const power = bytes < 1_000_000 ? 1 : 2;
  return `${Math.max(1, Math.round(bytes / 1_000 ** power))} ${power === 1 ? 'kB' : 'MB'}`;
}

function Card({ body, panel, words }: BodyProps<'card'>): JSX.Element {
  const image = safeUrl(body.image_url);
  const link = safeUrl(body.url);
  return (
    <div class="card">
      {image && <img src={image} alt="" width={4} height={3} loading="lazy" />}
      <div>
        <b>{body.title}</b>
        {body.price !== undefined && <span class="price">{body.price}</span>}
        {body.description && <p>{body.description}</p>}
      </div>
      {link && <Link href={link} class="action">{words.t('open')}</Link>}
      {body.actions?.map((action, index) => <CardButton key={index} action={action} panel={panel} />)}
    </div>
  );
}

function CardButton({ action, panel }: { action: { title?: string; text?: string; url?: string }; panel: Panel }): JSX.Element {
  const title = action.title ?? action.text ?? '';
  const url = safeUrl(action.url);
  if (url) return <Link href={url} class="action">{title}</Link>;
  return (
    <button type="button" class="action" onClick={() => panel.say(action.text ?? title)}>
      {title}
    </button>
  );
}

function Choices({ body, panel, active }: BodyProps<'choices'>): JSX.Element {
  return (
    <>
      <Text text={body.text} />
      <span class="choices">
        {body.options.map((option, index) => {
          const title = typeof option === 'string' ? option : option.title;
          return (
            <button key={index} type="button" disabled={!active} onClick={() => panel.say(title)}>
              {title}
            </button>
          );
        })}
      </span>
    </>
  );
}

function Rating({ score, comment, words }: { score: number; comment: string | undefined; words: Words }): JSX.Element {
  return (
    <>
      <span class="stars" role="img" aria-label={words.t('rated', { score })}>
        {'★'.repeat(score)}
        <i>{'★'.repeat(Math.max(0, 5 - score))}</i>
      </span>
      {comment && <Text text={`\n${comment}`} />}
    </>
  );
}
