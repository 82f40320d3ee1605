import type { Body } from '@unique-cs/client';
import { linkify } from '@unique-cs/design';
import type { ComponentType, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Words } from '../i18n';
import type { Panel } from '../panel';

export interface BodyProps<K extends Body['kind'] = Body['kind']> {
  body: Extract<Body, { kind: K }>;
  panel: Panel;
  words: Words;
  /** Whether buttons in it still work. */
  active: boolean;
}

/** Bodies that are their own frame. */
export function bare(body: Body): boolean {
  return body.kind === 'card' || (body.kind === 'image' && typeof body.attachment === 'object' && body.attachment.url !== undefined);
}

/** One body of any kind. All text is text: nothing of a message is ever taken as HTML. */
export function BodyView(props: BodyProps): JSX.Element {
  return props.body.kind === 'text' ? <Text text={props.body.text} /> : <Rich {...props} />;
}

/** Everything but text is drawn by code that is loaded when the first such message is there. */
function Rich(props: BodyProps): JSX.Element {
  const [view, setView] = useState<{ RichBody: ComponentType<BodyProps> } | undefined>(loaded);
  useEffect(() => {
    if (!view) void import('./rich').then((module) => setView((loaded = module)));
  }, [view]);
  return view ? <view.RichBody {...props} /> : <em>{props.words.t('loading')}</em>;
}

let loaded: { RichBody: ComponentType<BodyProps> } | undefined;

export function Text({ text }: { text: string }): JSX.Element {
  return (
    <>
      {linkify(text).map((segment, index) =>
        segment.kind === 'text' ? segment.text : <Link key={index} href={segment.href}>{segment.text}</Link>,
      )}
    </>
  );
}

export function Link({ href, children, class: name }: { href: string; children: JSX.Element | string; class?: string }): JSX.Element {
  return (
    <a href={href} class={name} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
