// A stage without a server: Playwright answers for it. For looking at screens, not for proving the protocol.
import { readFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ASSETS = join(dirname(fileURLToPath(import.meta.url)), '../../src/unique_cs/api/assets');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };
export const ORIGIN = 'http://localhost:4173';
const CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self' ws:";

export const ME = { kind: 'contact', id: '7001', name: null };
export const MEI = { kind: 'agent', id: '9001', name: 'Mei Lin' };
export const CONVERSATION = '8001';

export async function browser() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--no-first-run', '--disable-component-update', '--disable-sync'],
  });
}

const APPS = [
  [/^\/widget\.js$/, () => 'loader/widget.js'],
  [/^\/(widget|demo|console)\/$/, (path) => `${path.slice(1)}index.html`],
  [/^\/chat\//, () => 'widget/index.html'],
  [/^\/(widget|demo|console)\//, (path) => path.slice(1)],
];

/** What the server would say: `events` is the history; `online: false` refuses the WebSocket. */
export class Stage {
  constructor({ events = [], online = true, inbox = 'demo', typing = false, cursors = [], unread = true, answer = true } = {}) {
    Object.assign(this, { events, online, inbox, typing, cursors, unread, answer, sockets: [], frames: [] });
  }

  async attach(context) {
    await context.route('**/*', (route) => this.serve(route));
    await context.routeWebSocket('**/ws', (socket) => this.talk(socket));
  }

  async serve(route) {
    const url = new URL(route.request().url());
    if (url.pathname === '/demo/config.json') return route.fulfill({ json: { inbox: this.inbox } });
    if (url.pathname.startsWith('/api/')) return this.rest(route, url);
    const app = APPS.find(([pattern]) => pattern.test(url.pathname));
    if (url.origin !== ORIGIN || !app) return route.fulfill({ status: 404, body: '' });
    const file = app[1](url.pathname);
    const body = await readFile(join(ASSETS, file));
    return route.fulfill({ body, contentType: TYPES[extname(file)], headers: extname(file) === '.html' ? { 'content-security-policy': CSP } : {} });
  }

  rest(route, url) {
    if (url.pathname.endsWith('/contacts/session')) return route.fulfill({ json: { token: 'T', contact: { id: ME.id }, conversation: null } });
    if (url.pathname.endsWith('/events')) return route.fulfill({ json: { epoch: 'E', events: this.events, more: false } });
    return route.fulfill({ status: 404, json: { code: 'not_found' } });
  }

  talk(socket) {
    if (!this.online) return socket.close({ code: 1013 });
    this.sockets.push(socket);
    const tell = (frame) => socket.send(JSON.stringify(frame));
    let seq = this.events.length;
    socket.onMessage((data) => {
      const frame = JSON.parse(data);
      this.frames.push(frame);
      if (frame.type === 'connect') this.greet(tell);
      if (frame.type === 'ping') tell({ type: 'pong' });
      if (frame.type === 'send' && this.answer) {
        if (frame.body.text === 'fail') return tell({ type: 'error', code: 'invalid', n: frame.n });
        if (this.events.length === 0 && seq === 0) tell({ type: 'subscribed', conversation: CONVERSATION, epoch: 'E', seq: 0 });
        tell({ type: 'sent', n: frame.n, id: `${5000 + ++seq}`, conversation: CONVERSATION, seq, time: Date.now() });
      }
    });
  }

  greet(tell) {
    const seq = this.events.length;
    const conversations = seq === 0 ? [] : [{ id: CONVERSATION, status: 'open', epoch: 'E', seq, read: this.unread ? 0 : seq, delivered: seq, cursors: this.cursors }];
    tell({ type: 'connected', session: 's_1', resumed: false, c: 1, n: 0, actor: ME, conversations, heartbeat_ms: 25000, max_frame: 65536, time: Date.now() });
    if (this.typing) tell({ type: 'signal', name: 'typing', conversation: CONVERSATION, actor: MEI, data: { on: true } });
  }
}

let ids = 100;
export function event(seq, name, actor, data, time) {
  return { type: 'event', name, conversation: CONVERSATION, seq, id: String(++ids), time, actor, data };
}

export function talk(lines, start = Date.now() - 26 * 3_600_000) {
  let time = start;
  return lines.map(([who, what, gap = 1], index) => {
    time += gap * 60_000;
    const actor = who === 'me' ? ME : who === 'bot' ? { kind: 'bot', id: '9100', name: null } : MEI;
    if (typeof what === 'string') return event(index + 1, 'message.created', actor, { body: { kind: 'text', text: what }, private: false }, time);
    if (what.kind) return event(index + 1, 'message.created', actor, { body: what, private: false }, time);
    return event(index + 1, what.name, actor, what.data, time);
  });
}
