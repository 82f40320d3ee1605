import { CLOSE } from './close';
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

/** JSON frames over the browser's WebSocket, one text message each. */
export const webSocket: Transport = (url, handlers) => {
  let silent = false;
  const socket = new WebSocket(url);
  socket.onopen = () => silent || handlers.opened();
  socket.onclose = (event) => silent || handlers.closed(event.code);
  socket.onmessage = (event) => {
    if (silent) return;
    const frame = parse(event.data);
    if (frame) return handlers.received(frame);
    socket.close(CLOSE.fault);
  };
  return {
    send(frame) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
    },
    close(code) {
      silent = true;
      socket.close(code);
    },
  };
};

function parse(data: unknown): ServerFrame | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null && 'type' in value ? (value as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}
