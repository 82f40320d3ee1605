// The TypeScript client's sealed road to a real server, in Node.
import { execFileSync } from 'node:child_process';
import { Client, browser } from '@unique-cs/client';
import { sealed } from '@unique-cs/client/sm';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { INBOX, PYTHON, Server } from './server.mjs';

const WAIT = { timeout: 20_000 };
let server;
let desk;
let fingerprint;
/** The sockets that clients made, newest last. */
const sockets = [];

class Socket extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
  }
}

beforeAll(async () => {
  vi.stubGlobal('WebSocket', Socket);
  server = await Server.start({ UNIQUE_CS_PLUGINS: 'sm' });
  desk = await server.agent();
  const printed = execFileSync(PYTHON, ['-m', 'unique_cs', 'sm-key'], { env: server.environment, encoding: 'utf8' });
  fingerprint = printed.split(/\s+/)[1];
});
afterAll(async () => {
  vi.unstubAllGlobals();
  await server?.stop();
});

/** A contact's client in memory; `seen` are the texts that it was shown. */
async function visitor(pin) {
  const { token } = await server.call('POST', '/contacts/session', { inbox: INBOX, contact: { name: 'Ann' } });
  const url = `${server.origin.replace('http', 'ws')}/ws`;
  const client = new Client({ url, token: async () => token, name: 'e2e', version: '1' }, { ...browser, transport: sealed(pin) });
  const seen = [];
  client.on('event', (event) => event.name === 'message.created' && seen.push(event.data.body.text));
  client.start();
  return { client, seen };
}

it('talks, loses the connection, and misses nothing', async () => {
  const { client, seen } = await visitor(fingerprint);
  await vi.waitFor(() => expect(client.status.state).toBe('online'), WAIT);
  expect(sockets.at(-1).protocol).toBe('unique-cs.v1+sm');
  client.send({ kind: 'text', text: '你好' });
  await vi.waitFor(() => expect(seen).toEqual(['你好']), WAIT);
  const [conversation] = client.conversations;
  await desk.say(conversation.id, 'hello');
  await vi.waitFor(() => expect(seen).toEqual(['你好', 'hello']), WAIT);
  sockets.at(-1).terminate();
  client.send({ kind: 'text', text: 'still here' });
  await desk.say(conversation.id, 'so am I');
  await vi.waitFor(() => expect([...seen].sort()).toEqual(['hello', 'so am I', 'still here', '你好']), WAIT);
  await client.stop();
});

it('tells its token to nobody else', async () => {
  const before = sockets.length;
  const { client } = await visitor('0'.repeat(64));
  await vi.waitFor(() => expect(sockets.length).toBeGreaterThan(before + 1), WAIT);
  expect(client.actor).toBeNull();
  expect(client.status.state).not.toBe('online');
  await client.stop();
});

it('hears 4400 where somebody in between changes a byte', async () => {
  const { client } = await visitor(fingerprint);
  await vi.waitFor(() => expect(client.status.state).toBe('online'), WAIT);
  const socket = sockets.at(-1);
  const code = new Promise((resolve) => socket.on('close', resolve));
  socket.send(new Uint8Array(40));
  expect(await code).toBe(4400);
  await client.stop();
});
