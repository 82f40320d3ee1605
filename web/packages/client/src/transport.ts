import type { Transport } from './channel';
import { CLOSE } from './close';
import type { ServerFrame } from './frames';

/** WebSocket is tried so often before a frame must have come over it. */
const TRIES = 3;

/** Attempts over WebSocket since the last frame that came. */
let tries = 0;

/** JSON frames over the browser's WebSocket, one text message each; where nothing comes through, over HTTP. */
export const anyRoad: Transport = (url, handlers) => {
  if (tries >= TRIES) return detour(url, handlers);
  tries += 1;
  let silent = false;
  const socket = new WebSocket(url);
  socket.onopen = () => silent || handlers.opened();
  socket.onclose = (event) => silent || handlers.closed(event.code);
  socket.onmessage = (event: MessageEvent<string>) => {
    if (silent) return;
    tries = 0;
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
      // Opened, and never answered: that took long enough.
      if (tries && code === CLOSE.fault) tries = TRIES;
      socket.close(code);
    },
  };
};

/** The code for HTTP is loaded when it is needed. */
const detour: Transport = (url, handlers) => {
  const back = (): void => void (tries = 0);
  const channel = import('./http').then(
    ({ http }) => http(url, handlers, back),
    () => {
      back();
      handlers.closed();
    },
  );
  return {
    send: (frame) => void channel.then((it) => it?.send(frame)),
    close: (code) => void channel.then((it) => it?.close(code)),
  };
};

function parse(data: string): ServerFrame | undefined {
  try {
    const value = JSON.parse(data) as ServerFrame | null;
    return value?.type ? value : undefined;
  } catch {
    return undefined;
  }
}
