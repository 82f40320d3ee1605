import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { longHistory, missing, useConsole } from './fixture/console';
import type { MockDesk } from './fixture/data.mjs';
import type { MockServer } from './fixture/mock.mjs';

const AWAY = { status: 503, json: { code: 'overloaded', detail: 'the database is away' } };

describe.skipIf(missing)('the console when something is away', { timeout: 30_000 }, () => {
  const console_ = useConsole();
  let page: Page;
  let server: MockServer;
  let desk: MockDesk;

  async function start(...given: Parameters<typeof console_.start>): Promise<void> {
    ({ page, server, desk } = await console_.start(...given));
  }

  async function open(id: string): Promise<void> {
    await page.click(`[data-conversation="${id}"]`);
    await page.waitForSelector('[data-seq]');
  }

  async function hangUp(): Promise<void> {
    for (const socket of server.sockets.splice(0)) await socket.close({ code: 1011 });
  }

  it('moves nothing when it says so, and reads no seconds aloud', async () => {
    await start();
    await open('5001');
    const places = () => Promise.all(['[data-conversation="5002"]', '#thread header', '[data-seq]'].map((each) => page.locator(each).first().boundingBox()));
    const before = await places();
    server.down = true;
    await hangUp();
    await page.waitForSelector('text=Connection lost.', { timeout: 2_000 });
    expect((await places()).slice(0, 2)).toEqual(before.slice(0, 2));
    expect(await page.locator('[role=status] [aria-hidden=true]:has-text("Trying again")').count()).toBe(1);
  });

  it('keeps the place when another epoch begins', async () => {
    await start(longHistory);
    await open('5000');
    await page.locator('[role=log]').evaluate((element) => (element.scrollTop = 900));
    const place = () => page.locator('[data-seq="150"]').boundingBox();
    const before = await place();
    for (const one of desk.conversations) one.epoch = 'e2';
    await hangUp();
    await page.waitForSelector('[data-seq="1"]', { state: 'attached' });
    expect(Math.abs(((await place())?.y ?? 0) - (before?.y ?? 0))).toBeLessThan(3);
  });

  it('loads by itself what could not be loaded', async () => {
    await start(longHistory);
    server.answer = (request) => (request.url().includes('/conversations') ? AWAY : null);
    await page.click('#view-waiting');
    await page.click('#view-all');
    await page.waitForSelector('text=The list could not be loaded.');
    await page.evaluate(() => (location.hash = '#/c/5000'));
    await page.waitForSelector('text=The messages could not be loaded.');
    server.answer = null;
    await page.waitForSelector('[data-conversation="5008"]');
    await page.waitForSelector('[data-seq="180"]');
  });

  it('goes on saying that it loads what is above, until it is there', async () => {
    await start(longHistory);
    await open('5000');
    server.answer = (request) => (request.url().includes('before=') ? AWAY : null);
    await page.locator('[role=log]').evaluate((element) => (element.scrollTop = 0));
    await page.waitForRequest(/before=/);
    await page.waitForRequest(/before=/);
    await page.waitForSelector('text=Loading earlier messages…');
    server.answer = null;
    await page.waitForSelector('[data-seq="81"]', { state: 'attached' });
  });

  it('connects as soon as the server answers anything', async () => {
    await start();
    // The back-off draws a wait of a minute.
    await page.evaluate(() => (Math.random = () => 120));
    await hangUp();
    await page.waitForSelector('text=/Trying again in [56][0-9] seconds/');
    await page.evaluate(() => dispatchEvent(new Event('focus')));
    await page.waitForSelector('text=Connected again');
  });

  it('has a word for a message that takes long, and none for a first connection', async () => {
    await start();
    await open('5000');
    await page.routeWebSocket('**/ws', () => undefined);
    server.sockets[0]?.onMessage(() => undefined);
    await page.fill('#composer', 'hello?');
    await page.press('#composer', 'Enter');
    await page.waitForSelector('[data-unsent=sending] >> text="Sending"');
    await page.reload();
    await page.waitForSelector('text=Enter to send');
    expect(await page.locator('text=Sent as soon as the connection is back').count()).toBe(0);
  });

  it('says no more of a server in trouble than people can use', async () => {
    await start();
    await page.click('[aria-label^="Account"]');
    await page.click('text=Sign out');
    server.answer = () => AWAY;
    await page.fill('[name=email]', 'mei@example.com');
    await page.fill('[name=password]', 'secret');
    await page.keyboard.press('Enter');
    await page.waitForSelector('[role=alert]:has-text("cannot check passwords at the moment")');
    expect(await page.locator('text=database').count()).toBe(0);
  });

  it('leaves nothing on the screen of somebody who may not work here any more', async () => {
    await start();
    await open('5000');
    await page.fill('#composer', 'half an answer');
    server.send({ type: 'close', code: 4403, reason: 'forbidden', reconnect: false });
    await page.waitForSelector('[role=alert]:has-text("no access to this desk any more")');
    expect(await page.locator('[data-conversation], [data-seq]').count()).toBe(0);
    server.answer = () => ({ status: 403, json: { code: 'forbidden' } });
    await page.fill('[name=email]', 'mei@example.com');
    await page.fill('[name=password]', 'secret');
    await page.keyboard.press('Enter');
    await page.waitForResponse(/login/);
    await page.waitForSelector('[role=alert]:has-text("no access to this desk any more")');
    expect(await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]))).not.toMatch(/half an answer|"t"/);
  });

  it('marks inboxes where there are several', async () => {
    await start();
    expect(await page.locator('[data-conversation] [role=img]').count()).toBeGreaterThan(0);
    await page.context().close();
    await start((all) => all.inboxes.splice(1));
    expect(await page.locator('[data-conversation] [role=img]').count()).toBe(0);
  });
});
