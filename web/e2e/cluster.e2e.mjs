import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from './cluster.mjs';
import { INBOX, OWNER } from './server.mjs';
import { browser } from './stage.mjs';

const WAIT = { timeout: 30_000 };
let chromium;
let cluster;
let contexts = [];

beforeAll(async () => {
  [chromium, cluster] = await Promise.all([browser(), Cluster.start()]);
}, 120_000);
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
}, 60_000);

/** Somebody whom the balancer sends to that node while it serves. */
async function newPage(node) {
  const context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 } });
  contexts.push(context);
  await context.addCookies([{ name: 'node', value: String(node), url: cluster.origin }]);
  return context.newPage();
}

async function visitor(node) {
  const page = await newPage(node);
  await page.goto(`${cluster.origin}/chat/${INBOX}`);
  await page.locator('textarea').waitFor();
  return page;
}

async function agent(node) {
  const page = await newPage(node);
  await page.goto(`${cluster.origin}/console/`);
  await signIn(page);
  await page.locator('#view-waiting').waitFor(WAIT);
  return page;
}

async function signIn(page) {
  await page.locator('input[name=email]').fill(OWNER.email);
  await page.locator('input[name=password]').fill(OWNER.password);
  await page.locator('button[type=submit]').click();
}

async function say(page, text) {
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

/** The visitor's first words, taken and opened by the agent; returns the conversation's id. */
async function talk(guest, desk, text) {
  await say(guest, text);
  await desk.locator('#view-waiting').click();
  const row = desk.locator(`[data-conversation]:has-text("${text}")`);
  await row.click(WAIT);
  await desk.getByRole('button', { name: 'Assign to me' }).click();
  await guest.getByText('is helping you').waitFor(WAIT);
  return new URL(desk.url()).hash.split('/').pop();
}

const seen = (page) => page.locator('.bubble').allInnerTexts();
const told = (page) => page.locator('[role=log] [data-seq] [class*=bubble]').evaluateAll((all) => all.map((one) => one.querySelector('p').innerText));

describe('a visitor and an agent on two nodes', () => {
  it('lose and repeat nothing when the visitor’s node is killed in mid-word', async ({ skip }) => {
    if (cluster.missing) skip(cluster.missing);
    const [guest, desk] = [await visitor(0), await agent(1)];
    await talk(guest, desk, 'Where is my order?');
    await guest.locator('textarea').pressSequentially('It was pro');
    await desk.getByText('It was pro').waitFor(WAIT);

    const lost = guest.getByText('Connection lost').waitFor({ timeout: 2_000 });
    await cluster.tell('node-0 kill');
    await lost;
    await guest.keyboard.type('mised for today');
    await guest.keyboard.press('Enter');
    await say(desk, 'Let me look.');
    await guest.getByText('Connection lost').waitFor({ state: 'detached', ...WAIT });
    await say(guest, 'Thank you');
    const all = ['Where is my order?', 'It was promised for today', 'Let me look.', 'Thank you'];
    await expect.poll(async () => (await seen(guest)).toSorted(), WAIT).toEqual(all.toSorted());
    await expect.poll(() => told(desk), WAIT).toEqual(await seen(guest));
    await expect.poll(() => guest.locator('.mark.sending').count(), WAIT).toBe(0);
    expect(await desk.getByText('Connection lost').count()).toBe(0);
    await cluster.tell('node-0 start');
  });
});

describe('a reader in the middle of a long talk', () => {
  it('stays there when Redis loses everything and another epoch begins', async ({ skip }) => {
    if (cluster.missing) skip(cluster.missing);
    const [guest, desk] = [await visitor(0), await agent(1)];
    const id = await talk(guest, desk, 'A long story');
    const staff = await cluster.agent();
    for (let line = 0; line < 60; line += 1) await staff.say(id, `Line ${line}`);
    await guest.getByText('Line 59').waitFor(WAIT);
    await desk.getByRole('log').getByText('Line 59').waitFor(WAIT);
    for (const [page, box] of [[guest, '.scroll'], [desk, '[role=log]']]) await page.locator(box).evaluate((element) => (element.scrollTop = element.scrollHeight / 2));
    const place = (page) => page.getByRole('log').getByText('Line 30', { exact: true }).evaluate((element) => Math.round(element.getBoundingClientRect().top));
    const before = [await place(guest), await place(desk)];
    const again = Promise.all([guest, desk].map((page) => page.waitForResponse((response) => response.url().includes('after=0&'), WAIT)));
    await cluster.tell('redis flush');
    await again;
    await expect.poll(() => staff.say(id, 'After the flood').catch(() => undefined), WAIT).toBeTruthy();
    for (const page of [guest, desk]) await page.getByRole('log').getByText('After the flood').waitFor({ state: 'attached', ...WAIT });
    for (const [who, page] of [guest, desk].entries()) expect(Math.abs((await place(page)) - before[who])).toBeLessThan(3);
    expect(await guest.locator('.bubble').count()).toBe(62);
  });
});

describe('an agent who comes while the database is away', () => {
  it('is told so in words for people, and gets in when it is back', async ({ skip }) => {
    if (cluster.missing) skip(cluster.missing);
    const page = await newPage(1);
    await page.goto(`${cluster.origin}/console/`);
    await cluster.tell('mariadb kill');
    await signIn(page);
    await page.locator('[role=alert]').getByText('cannot check passwords at the moment').waitFor(WAIT);
    await cluster.tell('mariadb start');
    await page.locator('button[type=submit]').click();
    await page.locator('#view-waiting').waitFor(WAIT);
  });
});
