import type { ClientFrame, ServerFrame } from './frames';

export interface TransportHandlers {
  opened(): void;
  received(frame: ServerFrame): void;
  closed(code?: number): void;
}

/** One live connection. After `close` the handlers are not called any more. */
export interface Channel {
  send(frame: ClientFrame): void;
  close(code: number): void;
}

export type Transport = (url: string, handlers: TransportHandlers) => Channel;
