import type { Actor, Conversation, TimelineEvent } from '../src/model';
import type { Action } from '../src/state/reducer';
import { reduce } from '../src/state/reducer';
import { initialState, type State } from '../src/state/state';

export const ME = { id: '9001', name: 'Mei', email: 'mei@example.com', role: 'agent' };
export const MEI: Actor = { kind: 'agent', id: '9001', name: 'Mei' };
export const ANN: Actor = { kind: 'contact', id: '3000', name: 'Ann' };
export const NOON = new Date(2026, 10, 23, 12).getTime();

type Data<N extends TimelineEvent['name']> = Extract<TimelineEvent, { name: N }>['data'];

export function event<N extends TimelineEvent['name']>(seq: number, name: N, actor: Actor, data: Data<N>, time = NOON + seq * 1000): TimelineEvent {
  return { type: 'event', name, conversation: '5000', seq, id: `e${seq}`, time, actor, data } as TimelineEvent;
}

export function says(seq: number, actor: Actor, text = `text ${seq}`, more: { private?: boolean; time?: number } = {}): TimelineEvent {
  const data = { body: { kind: 'text' as const, text }, ...(more.private === undefined ? {} : { private: more.private }) };
  return event(seq, 'message.created', actor, data, more.time);
}

export function conversation(change: Partial<Conversation> = {}): Conversation {
  return {
    id: '5000',
    inbox: { id: '71', name: 'Shop' },
    contact: { id: '3000', name: 'Ann', email: null, identifier: null, verified: false, attributes: {}, created_at: NOON, visit: null },
    status: 'open',
    assignee: null,
    labels: [],
    epoch: 'E',
    seq: 0,
    read: 0,
    cursors: [],
    created_at: NOON,
    updated_at: NOON,
    waiting_since: null,
    last_message: null,
    ...change,
  };
}

export function run(actions: readonly Action[], from: State = initialState(ME)): State {
  return actions.reduce(reduce, from);
}
