import type { Body } from '@unique-cs/client';
import type { ComponentType, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Text, type BodyProps } from './text';

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
