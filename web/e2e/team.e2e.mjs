import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INBOX, OWNER, Server } from './server.mjs';
import { browser } from './stage.mjs';

const WAIT = { timeout: 20_000 };
let chromium;
let server;
let contexts = [];

beforeAll(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start()]);
});
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
});
afterAll(async () => {
  await chromium?.close();
  await server?.stop();
});

async function newPage() {
  const context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1440, height: 900 } });
  contexts.push(context);
  return context.newPage();
}

async function desk({ email, password }) {
  const page = await newPage();
  await page.goto(`${server.origin}/console/`);
  await signIn(page, email, password);
  await page.locator('#view-waiting').waitFor();
  return page;
}

async function signIn(page, email, password) {
  await page.locator('input[name=email]').fill(email);
  await page.locator('input[name=password]').fill(password);
  await page.locator('button[type=submit]').click();
}

/** A visitor writes on the chat page. */
async function ask(text) {
  const page = await newPage();
  await page.goto(`${server.origin}/chat/${INBOX}`);
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

const settings = (page) => page.evaluate(() => (location.hash = '#/settings'));
const memberOf = (page, email) => page.locator(`[data-member]:has-text("${email}")`);

describe('two agents', () => {
  it('are made, given a conversation, sent away and let in again', async () => {
    const owner = await desk(OWNER);
    await ask('Where is my order?');
    await owner.locator('#view-waiting').click();
    const row = owner.locator('[data-conversation]:has-text("Where is my order?")');
    const id = await row.getAttribute('data-conversation', WAIT);
    await settings(owner);
    await owner.getByRole('button', { name: 'Add agent' }).click();
    await owner.locator('dialog [name=name]').fill('Bo Lin');
    await owner.locator('dialog [name=email]').fill('bo@example.com');
    await owner.locator('dialog button[type=submit]').click();
    const password = await owner.locator('[data-password]').textContent();
    await owner.getByRole('button', { name: 'Done' }).click();
    await memberOf(owner, 'bo@example.com').waitFor();

    const bo = await desk({ email: 'bo@example.com', password });
    await owner.evaluate((hash) => (location.hash = hash), `#/c/${id}`);
    await owner.locator('[aria-label^="Assignee"]').click();
    await expect.poll(() => owner.locator('[role=menuitemradio]').allInnerTexts(), WAIT).toEqual(['Nobody', expect.stringContaining('(you)'), expect.stringContaining('Bo Lin')]);
    await owner.locator('[role=menuitemradio]:has-text("Bo Lin")').click();
    await bo.locator('#view-mine').click();
    await bo.locator(`[data-conversation="${id}"]`).waitFor(WAIT);

    await settings(owner);
    const choose = async (action) => {
      await memberOf(owner, 'bo@example.com').getByRole('button').click();
      await owner.getByRole('menuitem', { name: action }).click();
    };
    await choose('Reset password');
    await owner.locator('dialog button[type=submit]').click();
    const fresh = await owner.locator('[data-password]').textContent();
    await owner.getByRole('button', { name: 'Done' }).click();
    await bo.locator('text=Your session has ended').waitFor(WAIT);
    await signIn(bo, 'bo@example.com', fresh);
    await bo.locator('#view-waiting').waitFor(WAIT);

    await choose('Disable');
    await bo.locator('text=no access to this desk any more').waitFor(WAIT);
    await owner.evaluate((hash) => (location.hash = hash), `#/c/${id}`);
    await owner.locator('[aria-label^="Assignee"]').click();
    await expect.poll(() => owner.locator('[role=menuitemradio]').count(), WAIT).toBe(2);
  });

  it('change their own passwords', async () => {
    const owner = await desk(OWNER);
    await settings(owner);
    await owner.getByRole('button', { name: 'Change password' }).click();
    const change = async (old, fresh) => {
      await owner.locator('[name=old]').fill(old);
      await owner.locator('[name=new]').fill(fresh);
      await owner.locator('dialog button[type=submit]').click();
    };
    await change('not my password', 'another password');
    await owner.locator('dialog [role=alert]:has-text("current password is wrong")').waitFor(WAIT);
    await change(OWNER.password, OWNER.password);
    await owner.locator('text=Other devices are signed out').waitFor(WAIT);
  });
});

describe('a page of another site', () => {
  it('may use its own scripts as soon as an inbox lists it', async () => {
    const shop = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>Shop</title>'));
    shop.listen(0, '127.0.0.1');
    await once(shop, 'listening');
    const origin = `http://127.0.0.1:${shop.address().port}`;
    try {
      const page = await newPage();
      await page.goto(origin);
      const tries = () =>
        page.evaluate(async ([url, inbox]) => {
          const headers = { 'content-type': 'application/json' };
          const session = await fetch(`${url}/api/v1/contacts/session`, { method: 'POST', headers, body: JSON.stringify({ inbox }) }).then(
            (response) => response.json(),
            () => null,
          );
          const authorization = session ? { authorization: `Bearer ${session.token}` } : {};
          const list = await fetch(`${url}/api/v1/conversations`, { headers: authorization }).then((response) => response.status, () => null);
          const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`);
          const open = await new Promise((resolve) => {
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
          });
          socket.close();
          return { session: session !== null, list, open };
        }, [server.origin, INBOX]);
      expect(await tries()).toEqual({ session: false, list: null, open: false });
      const { token } = await server.call('POST', '/auth/login', OWNER);
      const { inboxes } = await server.call('GET', '/inboxes', undefined, token);
      await server.call('PATCH', `/inboxes/${inboxes[0].id}`, { allowed_origins: [origin] }, token);
      expect(await tries()).toEqual({ session: true, list: 200, open: true });
    } finally {
      shop.close();
    }
  });
});
