import type { Transport } from './channel';
import { CLOSE } from './close';
import type { ServerFrame } from './frames';
import type { Records } from './sm-records';

const SUBPROTOCOL = 'unique-cs.v1+sm';

/**
 * Frames sealed with SM4 over a WebSocket, to the server with this fingerprint and no other (`unique-cs sm-key` prints it).
 * There is no way round: where it does not get through, the client waits and tries again.
 */
export function sealed(fingerprint: string): Transport {
  return (url, handlers) => {
    // The cryptography is a chunk of its own, loaded while the socket opens.
    const loaded = import('./sm-records').then(({ Handshake }) => new Handshake());
    const socket = new WebSocket(url, SUBPROTOCOL);
    let handshake: Awaited<typeof loaded>;
    let records: Records | undefined;
    let silent = false;

    const fail = (): void => {
      if (silent) return;
      silent = true;
      socket.close(CLOSE.fault);
      handlers.closed(CLOSE.fault);
    };
    const begin = (made: Awaited<typeof loaded>): void => {
      handshake = made;
      if (socket.protocol !== SUBPROTOCOL) return fail();
      if (!silent) socket.send(made.hello);
    };
    /** The frame in a message; none in the server's answer to the hello. */
    const read = (message: Uint8Array): ServerFrame | undefined => {
      if (records) return JSON.parse(records.open(message)) as ServerFrame;
      records = handshake.finish(message, fingerprint);
      return undefined;
    };
    const attempt = (message: Uint8Array): void => {
      let frame: ServerFrame | undefined;
      try {
        frame = read(message);
      } catch {
        return fail();
      }
      if (frame) handlers.received(frame);
      else handlers.opened();
    };

    loaded.catch(fail);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => void loaded.then(begin, fail);
    // The close that follows says it, too. In Node an error that nobody listens to ends the process.
    socket.onerror = () => undefined;
    socket.onclose = (event) => silent || handlers.closed(event.code);
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => silent || attempt(new Uint8Array(event.data));
    return {
      send(frame) {
        if (records && socket.readyState === WebSocket.OPEN) socket.send(records.seal(JSON.stringify(frame)));
      },
      close(code) {
        silent = true;
        socket.close(code);
      },
    };
  };
}
