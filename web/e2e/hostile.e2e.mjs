// People who put scripts, broken addresses and frames where words belong: nothing runs, nothing breaks.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INBOX, OWNER, Server } from './server.mjs';
import { browser } from './stage.mjs';

const MARKUP = '<img src=x onerror="top.hit=1"><script>top.hit=1</script><svg/onload=top.hit=1>"\'`${top.hit=1}{{top.hit=1}}';
const ADDRESSES = ['javascript:top.hit=1', 'https://shop.example/%E0%A4%A?q=%', 'data:text/html,<script>top.hit=1</script>', 'https://"><script>top.hit=1</script>', 'http://[', 'blob:x', '//evil.test'];
let chromium;
let server;
/** Another site: a page that is what `site.page` says. On this machine too, for browsers let no page of the Internet reach loopback. */
let site;
let evil;
let desk;
let contexts = [];

beforeAll(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start()]);
  desk = await server.agent();
  site = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(site.page)).listen(0, '127.0.0.1');
  await once(site, 'listening');
  evil = `http://127.0.0.1:${site.address().port}/`;
});
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
});
afterAll(async () => {
  await chromium?.close();
  site?.close();
  await server?.stop();
});

async function watched() {
  const context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 } });
  contexts.push(context);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('dialog', (dialog) => page.problems.push(dialog.message()));
  page.on('console', (message) => /Content Security Policy/.test(message.text()) && page.problems.push(message.text()));
  return page;
}

/** A visitor whose every word is hostile; resolves with its token and conversation. */
async function villain(address) {
  const contact = { name: MARKUP, email: `"><b>@x.test`, attributes: { [MARKUP]: MARKUP, __proto__x: { a: [MARKUP] }, constructor: 'x' } };
  const visit = { url: address, title: MARKUP, referrer: address, language: MARKUP, time_zone: MARKUP };
  const { token } = await server.call('POST', '/contacts/session', { inbox: INBOX, contact, visit });
  const bodies = [
    { kind: 'text', text: `${MARKUP} ${address} https://shop.example/"onmouseover="top.hit=1` },
    { kind: 'card', title: MARKUP, description: MARKUP, price: MARKUP, url: 'https://shop.example/"><script>top.hit=1</script>'.replaceAll(' ', ''), actions: [{ label: MARKUP }] },
    { kind: 'choices', text: MARKUP, options: [MARKUP, ''] },
    { kind: 'rating', score: 5, comment: MARKUP },
    { kind: 'custom', html: MARKUP, __proto__x: 1 },
  ];
  const frames = bodies.map((body, index) => ({ type: 'send', n: index + 1, body }));
  const stream = (path, frame) => fetch(`${server.origin}/api/v1/stream${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(frame) });
  const [connected] = await (await stream('?poll=1&now=1', { type: 'connect' })).json();
  const answers = await (await stream(`/${connected.session}`, frames)).json();
  const sent = answers.filter((answer) => answer.type === 'sent');
  expect(sent).toHaveLength(bodies.length);
  return { token, conversation: sent[0].conversation };
}

async function signIn(page) {
  await page.goto(`${server.origin}/console/`);
  await page.locator('input[name=email]').fill(OWNER.email);
  await page.locator('input[name=password]').fill(OWNER.password);
  await page.locator('button[type=submit]').click();
  await page.getByRole('tab', { name: 'All' }).or(page.getByRole('button', { name: 'All', exact: true })).first().click();
}

/** Nothing ran, and nothing leads elsewhere than to http(s). */
async function isHarmless(page) {
  expect(await page.evaluate(() => window.hit)).toBeUndefined();
  const places = await page.locator('a[href], img[src], iframe[src], audio[src]').evaluateAll((all) => all.map((one) => one.href ?? one.src));
  expect(places.filter((place) => !/^(https?|mailto):/.test(place))).toEqual([]);
  expect(await page.locator('script:not([src]), [onerror], [onload], [onmouseover]').count()).toBe(0);
  expect(page.problems).toEqual([]);
}

describe('hostile words', () => {
  it('do nothing in the console, which goes on', async () => {
    const page = await watched();
    const found = [];
    for (const address of ADDRESSES) found.push(await villain(address));
    await signIn(page);
    for (const { conversation } of found) {
      await page.locator(`[data-conversation="${conversation}"]`).click();
      await page.locator('[role=log]').getByText('onmouseover').first().waitFor();
      await page.getByRole('complementary').last().waitFor();
      await isHarmless(page);
    }
    await page.reload();
    await page.locator('[role=log]').waitFor();
    await isHarmless(page);
  });

  it('do nothing in the panel', async () => {
    const { token, conversation } = await villain(ADDRESSES[0]);
    await desk.assign(conversation);
    await desk.say(conversation, `${MARKUP} from the desk`);
    const page = await watched();
    await page.addInitScript(([key, value]) => localStorage.setItem(key, value), [`unique-cs:token:${INBOX}`, token]);
    await page.goto(`${server.origin}/chat/${INBOX}?lang=${encodeURIComponent(MARKUP)}#${MARKUP}`);
    await page.getByText('from the desk').waitFor();
    await isHarmless(page);
  });
});

/** A page of another site that shows `path` of ours in a frame; resolves with whether it got to see it. */
async function framed(path) {
  const page = await watched();
  site.page = `<iframe src="${server.origin}${path}"></iframe>`;
  const asked = page.waitForRequest((request) => request.url().startsWith(server.origin));
  await page.goto(evil, { waitUntil: 'load' });
  // Of an answer that may not be framed the page is told no more than that it failed.
  await (await asked).response().catch(() => null);
  await expect.poll(() => page.frames().at(-1).url()).not.toMatch(/^(about:blank)?$/);
  return page.frames().some((frame) => frame.url().startsWith(server.origin));
}

describe('a site of others', () => {
  it('frames the panel only where the inbox lets it, and nothing else of ours', async () => {
    expect(await framed(`/widget/?inbox=${INBOX}`)).toBe(true);
    const inbox = await desk.inbox();
    await server.call('PATCH', `/inboxes/${inbox.id}`, { allowed_origins: ['https://shop.example'] }, desk.token);
    for (const path of ['/console/', '/demo/', '/api/docs', `/chat/${INBOX}`, `/widget/?inbox=${INBOX}`, `/widget/?inbox=${INBOX}&inbox=x`, `/chat//x?inbox=${INBOX}`]) {
      expect([path, await framed(path)]).toEqual([path, false]);
    }
    await server.call('PATCH', `/inboxes/${inbox.id}`, { allowed_origins: [] }, desk.token);
  });

  it('reads nothing of ours, and its messages are not the loader\'s', async () => {
    const page = await watched();
    site.page = '<title>evil</title>';
    await page.goto(evil);
    const read = (path, init) => page.evaluate(([url, options]) => fetch(url, options).then((answer) => answer.text(), () => null), [server.origin + path, init]);
    for (const path of ['/metrics', '/readyz', '/demo/config.json', '/api/v1/me', '/console/']) expect([path, await read(path)]).toEqual([path, null]);
    expect(await read('/api/v1/contacts/session', { method: 'POST', body: JSON.stringify({ inbox: INBOX }) })).toBe(null);
    const socket = await page.evaluate((url) => new Promise((resolve) => {
      const made = new WebSocket(url);
      made.onopen = () => resolve('open');
      made.onerror = () => resolve('refused');
    }), `${server.origin.replace('http', 'ws')}/ws`);
    expect(socket).toBe('refused');
    const [popup] = await Promise.all([page.waitForEvent('popup'), page.evaluate((url) => void (window.chat = open(url)), `${server.origin}/chat/${INBOX}`)]);
    await popup.locator('textarea').waitFor();
    await page.evaluate(() => {
      const { port1, port2 } = new MessageChannel();
      window.chat.postMessage('unique-cs', '*', [port2]);
      port1.postMessage({ do: 'settings', settings: { title: 'taken over' } });
    });
    await popup.locator('textarea').fill('still here');
    expect(await popup.locator('h1').innerText()).not.toBe('taken over');
  });
});
