// A real server on a free port with a data folder of its own: it can be killed and started again.
import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const VENV = join(ROOT, '.venv/bin/python');
export const PYTHON = existsSync(VENV) ? VENV : 'python3';

export const INBOX = 'shop';
export const OWNER = { email: 'owner@example.com', password: 'correct horse battery staple' };
/** Settings of a first start. */
export const FIRST = { UNIQUE_CS_OWNER_EMAIL: OWNER.email, UNIQUE_CS_OWNER_PASSWORD: OWNER.password, UNIQUE_CS_INBOX_KEY: INBOX };

/** What answers at `origin`, spoken to over REST. */
export class Site {
  constructor(origin) {
    this.origin = origin;
  }

  async call(method, path, body, token) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID(), ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(`${this.origin}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  }

  /** An agent at work over REST. */
  async agent() {
    const { token } = await this.call('POST', '/auth/login', OWNER);
    return {
      token,
      conversations: async () => (await this.call('GET', '/conversations', undefined, token)).conversations,
      events: async (id) => (await this.call('GET', `/conversations/${id}/events?after=0&limit=200`, undefined, token)).events,
      say: (id, text) => this.call('POST', `/conversations/${id}/messages`, { body: { kind: 'text', text } }, token),
      assign: async (id) => this.call('POST', `/conversations/${id}/assign`, { agent: (await this.call('GET', '/me', undefined, token)).agent.id }, token),
      inbox: async () => {
        const { inboxes } = await this.call('GET', '/inboxes', undefined, token);
        return this.call('GET', `/inboxes/${inboxes[0].id}`, undefined, token);
      },
      status: (id, status) => this.call('POST', `/conversations/${id}/status`, { status }, token),
    };
  }
}

export class Server extends Site {
  static async start(settings = {}) {
    const data = await mkdtemp(join(tmpdir(), 'unique-cs-e2e-'));
    const server = new Server(data, await freePort(), settings);
    await server.run();
    return server;
  }

  /** `settings` are environment variables. */
  constructor(data, port, settings = {}) {
    super(`http://localhost:${port}`);
    this.data = data;
    this.log = '';
    this.environment = {
      ...process.env,
      UNIQUE_CS_HTTP_PORT: String(port),
      UNIQUE_CS_GRPC_PORT: '0',
      UNIQUE_CS_MQTT_PORT: '0',
      UNIQUE_CS_DATA_DIR: data,
      ...FIRST,
      ...settings,
    };
  }

  /** Resolves when it answers; rejects with its output when it ends instead. */
  async run() {
    // A test that breaks off must not leave a server behind.
    this.process = spawn(PYTHON, ['-m', 'unique_cs', 'serve'], { cwd: ROOT, env: this.environment });
    process.once('exit', () => this.process.kill('SIGKILL'));
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (chunk) => (this.log += chunk));
    for (let tries = 0; tries < 150; tries += 1) {
      if (this.process.exitCode !== null) break;
      const ready = await fetch(`${this.origin}/readyz`).then((response) => response.ok, () => false);
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`the server is not ready:\n${this.log}`);
  }

  /** As a power cut: nothing is said and nothing is flushed. */
  async kill() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }

  async stop() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const late = setTimeout(() => this.process.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(late);
    await rm(this.data, { recursive: true, force: true });
  }
}

/** What the site's own server hands to its page. */
export function identityToken(secret, subject, name) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ aud: INBOX, sub: subject, name, exp: Math.floor(Date.now() / 1000) + 300 })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
