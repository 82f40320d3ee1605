import type { Body } from '@unique-cs/client';
import { linkify } from '@unique-cs/design';
import type { JSX } from 'preact';
import type { Words } from '../i18n';
import type { Panel } from '../panel';

/** What every view of a body gets. */
export interface BodyProps<K extends Body['kind'] = Body['kind']> {
  body: Extract<Body, { kind: K }>;
  panel: Panel;
  words: Words;
  /** Whether buttons in it still work. */
  active: boolean;
}

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
