// Takes pictures of every screen into the folder named by the first argument: both languages, both schemes, desktop and phone.
// The second argument names the scenes, by commas; FONT=… replaces the system's font.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { makeDesk } from '../test/fixture/data.mjs';
import { mockServer } from '../test/fixture/mock.mjs';
import { serveStatic } from '../test/fixture/static.mjs';

const out = process.argv[2] ?? 'test-results/shots';
const only = process.argv[3];
const ROOT = new URL('../../../../src/unique_cs/api/assets/console/', import.meta.url).pathname;
const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const SESSION = (desk) => JSON.stringify({ token: 't', agent: desk.me });

const SCENES = {
  async signin({ page, shot }) {
    await page.evaluate(() => localStorage.removeItem('unique-cs:session'));
    await page.reload();
    await page.waitForSelector('form');
    await shot('signin');
  },
  async limited({ page, shot, server }) {
    await page.evaluate(() => localStorage.removeItem('unique-cs:session'));
    await page.reload();
    server.answer = () => ({ status: 429, headers: { 'retry-after': '42' }, json: { code: 'rate_limited', detail: 'slow down' } });
    await page.fill('[name=email]', 'mei@northwind.example');
    await page.fill('[name=password]', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('[role=alert]');
    await shot('signin-limited');
  },
  async thread({ page, shot, server, desk, open }) {
    await open('5000');
    server.send({ type: 'signal', name: 'page', conversation: '5000', actor: { kind: 'contact', id: '3000' }, data: { url: 'https://shop.example.com/checkout/address', title: desk.words.thread.pageTitle } });
    await page.waitForTimeout(300);
    await shot('thread');
    server.send({ type: 'signal', name: 'typing', conversation: '5000', actor: { kind: 'contact', id: '3000', name: 'x' }, data: { on: true, preview: desk.words.thread.typing } });
    server.send({ type: 'signal', name: 'typing', conversation: '5000', actor: { kind: 'agent', id: '9002', name: desk.words.jonas }, data: { on: true, private: true } });
    server.refuse = true;
    await page.fill('#composer', desk.words.thread.failed);
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-unsent=failed]');
    await page.waitForTimeout(300);
    await shot('failed');
    await page.keyboard.press('Alt+KeyP');
    await page.keyboard.type(desk.words.thread.note);
    await page.mouse.move(700, 300);
    await page.mouse.wheel(0, -900);
    await page.waitForTimeout(300);
    server.send({ ...desk.events[5000][0], name: 'message.created', seq: 14, id: '8999', time: Date.now(), actor: { kind: 'contact', id: '3000', name: desk.words.names[0] }, data: { body: { kind: 'text', text: desk.words.thread.more } } });
    await page.waitForTimeout(300);
    await shot('note-scrolled');
  },
  async snooze({ page, shot, server, desk, open }) {
    await open('5000');
    const change = (actor, data) => ({ ...desk.events[5000][0], name: 'conversation.status_changed', seq: ++desk.conversations[0].seq, id: `x${desk.conversations[0].seq}`, time: Date.now(), actor, data });
    const me = { kind: 'agent', id: desk.me.id, name: desk.me.name };
    server.send(change(me, { status: 'snoozed', previous: 'open', until: Date.now() + 60_000 }));
    server.send(change({ kind: 'system', id: '0', name: 'system' }, { status: 'open', previous: 'snoozed' }));
    await page.waitForTimeout(300);
    await shot('snooze');
  },
  async list({ page, shot }) {
    await page.waitForSelector('[data-conversation]');
    await page.waitForTimeout(200);
    await shot('mine');
    await page.click('#view-waiting');
    await page.waitForTimeout(300);
    await shot('waiting');
    await page.click('#view-all');
    await page.waitForTimeout(300);
    await page.fill('input[type=search]', 'zzz');
    await page.waitForTimeout(600);
    await shot('search-empty');
  },
  async lost({ page, shot, server, open, desk }) {
    await open('5001');
    server.down = true;
    for (const socket of server.sockets.splice(0)) await socket.close({ code: 1011 });
    await page.waitForTimeout(2500);
    await page.fill('#composer', desk.words.thread.reply);
    await page.keyboard.press('Enter');
    await page.waitForTimeout(300);
    await shot('lost');
  },
  async backlog({ page, shot, server, open }) {
    await open('5000');
    server.send({ type: 'signal', name: 'backlog', data: { alarm: 'oldest_wait', raised: true, value: 612, threshold: 600, since: 1 } });
    await page.waitForSelector('[data-tone=warn]');
    await page.waitForTimeout(300);
    await shot('backlog');
    await page.click('[data-tone=warn] button >> nth=0');
    await page.waitForTimeout(300);
    await shot('backlog-shown');
  },
  async palette({ page, shot, open }) {
    await open('5000');
    await page.keyboard.press('Control+KeyK');
    await page.waitForSelector('dialog[open]');
    await page.waitForTimeout(250);
    await shot('palette');
  },
  async settings({ page, shot }) {
    await page.evaluate(() => (location.hash = '#/settings'));
    await page.waitForTimeout(400);
    await shot('settings');
  },
  async team({ page, shot, desk }) {
    desk.agents.push({ id: '9003', name: desk.words.names[2] ?? 'Ana', email: 'a.very.long.address.of.somebody@customer-service.northwind.example', role: 'admin' }, { id: '9004', name: desk.words.names[3] ?? 'Bo', email: 'bo@northwind.example', role: 'agent', disabled: true });
    await page.evaluate(() => (location.hash = '#/settings'));
    await page.waitForSelector('[data-member="9002"]');
    await shot('team');
    await page.click('[data-member="9002"] button');
    await page.waitForTimeout(300);
    await shot('team-menu');
    await page.click('[role=menuitem] >> nth=0');
    await page.waitForTimeout(300);
    await shot('team-reset');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('[data-password]');
    await page.waitForTimeout(200);
    await shot('team-password');
    await page.click('dialog button[type=submit]');
    await page.locator('section').nth(1).locator('button').first().click();
    await page.fill('dialog [name=name]', desk.words.jonas);
    await page.fill('dialog [name=email]', 'jonas@northwind.example');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('dialog [role=alert]');
    await shot('team-add');
    await page.keyboard.press('Escape');
    await page.locator('section').nth(0).locator('button').last().click();
    await page.waitForTimeout(300);
    await shot('team-own-password');
  },
  async menus({ page, shot, open, size }) {
    await open('5003');
    await page.locator('header [aria-haspopup=menu]').last().click();
    await page.waitForTimeout(300);
    await shot('resolve-menu');
    await page.keyboard.press('Escape');
    if (size === 'phone') {
      await page.locator('#thread header button').nth(1).click();
      await page.waitForTimeout(300);
      await shot('contact-drawer');
    }
  },
};

async function run(browser, origin, name, size, locale, theme) {
  const desk = makeDesk(locale, Date.now());
  desk.sessions = [
    { id: '1', created_at: Date.now() - 9e6, last_seen_at: Date.now(), user_agent: 'Mozilla/5.0 (Macintosh) AppleWebKit/537.36 Chrome/141.0 Safari/537.36', ip: '203.0.113.7', current: true },
    { id: '2', created_at: Date.now() - 9e8, last_seen_at: Date.now() - 4e6, user_agent: 'Mozilla/5.0 (iPhone; CPU) AppleWebKit/605 Version/18.0 Mobile Safari/604', ip: '198.51.100.23', current: false },
  ];
  if (name === 'first') desk.conversations = [];
  const context = await browser.newContext({ viewport: SIZES[size], deviceScaleFactor: size === 'phone' ? 2 : 1, hasTouch: size === 'phone', isMobile: size === 'phone', locale });
  const page = await context.newPage();
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && console.log(`  [${name}] ${message.text().slice(0, 300)}`));
  page.on('pageerror', (error) => console.log(`  [${name}] ${error.stack}`));
  const server = await mockServer(page, desk);
  await page.addInitScript(
    ([session, preferences]) => {
      if (!sessionStorage.getItem('seeded')) localStorage.setItem('unique-cs:session', session);
      sessionStorage.setItem('seeded', '1');
      localStorage.setItem('unique-cs:preferences', preferences);
    },
    [SESSION(desk), JSON.stringify({ locale, theme, sound: false, desktop: false })],
  );
  await page.goto(`${origin}/console/`);
  if (process.env.FONT) await page.evaluate((font) => document.documentElement.style.setProperty('--font', font), process.env.FONT);
  const shot = (label) => page.screenshot({ path: join(out, `${size}-${theme}-${locale}-${label}.png`) });
  const open = async (id) => {
    await page.evaluate((hash) => (location.hash = hash), `#/c/${id}`);
    await page.waitForSelector('[data-seq]');
    await page.waitForTimeout(350);
  };
  await (SCENES[name] ?? firstRun)({ page, shot, server, desk, open, size });
  await context.close();
}

async function firstRun({ page, shot }) {
  await page.waitForTimeout(700);
  await shot('first-run');
}

await mkdir(out, { recursive: true });
const site = await serveStatic(ROOT);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-background-networking', '--no-first-run', '--disable-component-update', '--disable-sync'] });
const names = only ? only.split(',') : [...Object.keys(SCENES), 'first'];
for (const name of names) {
  for (const [size, locale, theme] of [['desk', 'en', 'light'], ['desk', 'zh-CN', 'dark'], ['phone', 'zh-CN', 'light'], ['phone', 'en', 'dark']]) {
    await run(browser, site.origin, name, size, locale, theme).catch((error) => console.log(name, size, String(error).slice(0, 600)));
  }
}
await browser.close();
site.close();
