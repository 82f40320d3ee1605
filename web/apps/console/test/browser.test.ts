import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { longHistory, missing, useConsole } from './fixture/console';
import type { MockDesk } from './fixture/data.mjs';
import type { MockServer } from './fixture/mock.mjs';

describe.skipIf(missing)('the console in a browser', { timeout: 30_000 }, () => {
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

  const rows = () => page.locator('[data-conversation]').evaluateAll((all) => all.map((row) => row.getAttribute('data-conversation')));
  const sent = () => server.frames.filter((frame) => frame.type === 'send');
  const last = (id: string) => desk.conversations.find((one) => one.id === id)?.seq ?? 0;

  /** The contact of a conversation writes; the page hears of it live. */
  function contactSays(id: string, text: string): void {
    const one = desk.conversations.find((entry) => entry.id === id);
    if (!one) throw new Error('no such conversation');
    one.seq += 1;
    const actor = { kind: 'contact', id: one.contact.id, name: one.contact.name };
    server.send({ type: 'event', name: 'message.created', conversation: id, seq: one.seq, id: `x${one.seq}`, time: Date.now(), actor, data: { body: { kind: 'text', text }, private: false } });
  }

  it('sends with Enter, keeps a new line with Shift, and shows the marks', async () => {
    await start();
    await open('5000');
    await page.fill('#composer', 'one');
    await page.press('#composer', 'Shift+Enter');
    await page.type('#composer', 'two');
    await page.press('#composer', 'Enter');
    await expect.poll(() => sent().map((frame) => frame.body)).toEqual([{ kind: 'text', text: 'one\ntwo' }]);
    await page.waitForSelector(`[data-seq="${last('5000')}"] [data-mark=sent]`);
    const actor = { kind: 'contact', id: '3000' };
    server.send({ type: 'signal', name: 'read', conversation: '5000', actor, data: { seq: last('5000') } });
    await page.waitForSelector(`[data-seq="${last('5000')}"] [data-mark=read]`);
  });

  it('does not send while a Chinese word is being composed', async () => {
    await start();
    await open('5000');
    await page.fill('#composer', 'ni');
    await page.evaluate(() => {
      const key = new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true });
      document.querySelector('#composer')?.dispatchEvent(key);
    });
    await page.press('#composer', 'Enter');
    await expect.poll(() => sent().length).toBe(1);
  });

  it('offers a refused message again', async () => {
    await start();
    await open('5000');
    server.refuse = true;
    await page.fill('#composer', 'too much');
    await page.press('#composer', 'Enter');
    await page.waitForSelector('[data-unsent=failed]');
    server.refuse = false;
    await page.click('[data-unsent=failed] button >> nth=0');
    await expect.poll(() => page.locator('[data-unsent]').count()).toBe(0);
  });

  it('keeps a draft for each conversation, and a note apart from the reply', async () => {
    await start();
    await open('5000');
    await page.fill('#composer', 'for Ann');
    await page.keyboard.press('Alt+KeyP');
    await page.fill('#composer', 'a note');
    await open('5001');
    expect(await page.inputValue('#composer')).toBe('');
    await open('5000');
    expect(await page.inputValue('#composer')).toBe('a note');
    await page.keyboard.press('Alt+KeyL');
    expect(await page.inputValue('#composer')).toBe('for Ann');
  });

  it('keeps a draft over a reload', async () => {
    await start();
    await open('5000');
    await page.fill('#composer', 'half an answer');
    await page.reload();
    await expect.poll(() => page.inputValue('#composer')).toBe('half an answer');
  });

  it('snoozes for as long as is chosen, and until tomorrow by a key', async () => {
    await start();
    const asked: { status: string; until?: number }[] = [];
    server.answer = (request) => {
      if (!request.url().endsWith('/status')) return null;
      asked.push(request.postDataJSON());
      return { json: { ...desk.conversations[0], status: 'snoozed' } };
    };
    await open('5000');
    await page.click('header [aria-label="More statuses"]');
    await page.click('[role=menuitem]:has-text("For an hour")');
    await page.waitForSelector('header [data-status=snoozed]');
    const inHours = (until?: number) => ((until ?? 0) - Date.now()) / 3_600_000;
    expect(asked.map(({ status }) => status)).toEqual(['snoozed']);
    expect(inHours(asked[0]?.until)).toBeCloseTo(1, 1);
    await page.keyboard.press('Alt+KeyM');
    await expect.poll(() => asked.length).toBe(2);
    expect(new Date(asked[1]?.until ?? 0).getHours()).toBe(9);
    expect(inHours(asked[1]?.until)).toBeGreaterThan(9);
    expect(inHours(asked[1]?.until)).toBeLessThan(34);
  });

  it('gives the focus back when the command bar closes', async () => {
    await start();
    await open('5000');
    await page.focus('#composer');
    await page.keyboard.press('Control+KeyK');
    await page.waitForSelector('dialog[open] [role=option]');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('composer');
  });

  it('stands still for those who want no motion', async () => {
    await start();
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await open('5000');
    server.send({ type: 'signal', name: 'typing', conversation: '5000', actor: { kind: 'contact', id: '3000' }, data: { on: true, preview: 'I am' } });
    await page.waitForSelector('text="I am"');
    expect(await page.evaluate(() => document.getAnimations().filter((one) => one.playState === 'running').length)).toBe(0);
  });

  it('moves with the keyboard and finds everything with Ctrl+K', async () => {
    await start();
    await page.keyboard.press('Alt+KeyJ');
    await expect.poll(() => page.url()).toContain('#/c/5000');
    await page.keyboard.press('Alt+KeyJ');
    await expect.poll(() => page.url()).toContain('#/c/5001');
    await page.keyboard.press('Alt+KeyK');
    await expect.poll(() => page.url()).toContain('#/c/5000');
    await page.keyboard.press('Control+KeyK');
    await page.keyboard.type('tomás');
    await page.waitForSelector('[role=option][aria-selected=true]:has-text("Tomás")');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.url()).toContain('#/c/5007');
    await page.keyboard.press('Alt+KeyL');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('composer');
    await page.keyboard.press('Escape');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('data-conversation'))).toBe('5007');
  });

  it('keeps the place when history loads above', async () => {
    await start(longHistory);
    await open('5000');
    const box = page.locator('[role=log]');
    await box.evaluate((element) => (element.scrollTop = 520));
    const before = await page.locator('[data-seq="140"]').boundingBox();
    await box.evaluate((element) => (element.scrollTop = 480));
    await page.waitForSelector('[data-seq="100"]', { state: 'attached' });
    const after = await page.locator('[data-seq="140"]').boundingBox();
    expect(Math.abs((after?.y ?? 0) - (before?.y ?? 0) - 40)).toBeLessThan(3);
  });

  it('loads what is above when a thread opens at its new messages', async () => {
    await start((all) => {
      longHistory(all);
      if (all.conversations[0]) all.conversations[0].read = 20;
      const last = all.events['5000']?.at(-1);
      if (all.conversations[0] && last) all.conversations[0].last_message = last;
    });
    await open('5000');
    await page.waitForSelector('[data-new-line]');
    await page.waitForSelector('[data-seq="81"]', { state: 'attached' });
    await expect.poll(() => page.locator('button[data-new]').textContent()).toBe('160 new');
  });

  it('does not pull away from what is read when a message comes', async () => {
    await start(longHistory);
    await open('5000');
    const box = page.locator('[role=log]');
    await box.evaluate((element) => (element.scrollTop = 900));
    contactSays('5000', 'hello?');
    await page.waitForSelector('button[data-new]');
    expect(await box.evaluate((element) => element.scrollTop)).toBe(900);
    await page.click('button[data-new]');
    await expect.poll(() => box.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight)).toBeLessThan(4);
    await expect.poll(() => page.locator('button[data-new]').count()).toBe(0);
  });

  it('follows new messages at the end, and tells the server what was read', async () => {
    await start();
    await open('5000');
    contactSays('5000', 'are you there?');
    await page.waitForSelector(`[data-seq="${last('5000')}"]`);
    await expect.poll(() => server.frames.some((frame) => frame.type === 'read' && frame.seq === last('5000'))).toBe(true);
  });

  it('holds the order of the list while the pointer is on it', async () => {
    await start();
    const first = await rows();
    await page.hover('[data-conversation="5002"]');
    await page.mouse.move(250, 400);
    contactSays('5002', 'me first');
    await page.waitForSelector('[data-conversation="5002"][data-unread]');
    expect(await rows()).toEqual(first);
    await page.mouse.move(900, 400);
    await expect.poll(async () => (await rows())[0]).toBe('5002');
  });

  it('counts unread messages in the title', async () => {
    await start();
    await expect.poll(() => page.title()).toBe('(3) unique-cs');
    contactSays('5002', 'one more');
    await expect.poll(() => page.title()).toBe('(4) unique-cs');
  });

  it('says within two seconds that the connection is lost, keeps what is written, and sends it once when it is back', async () => {
    await start();
    await open('5001');
    server.down = true;
    for (const socket of server.sockets.splice(0)) await socket.close({ code: 1011 });
    await page.waitForSelector('text=Connection lost.', { timeout: 2_000 });
    await page.fill('#composer', 'later');
    await page.press('#composer', 'Enter');
    await page.waitForSelector('[data-unsent=sending]');
    server.down = false;
    await page.waitForSelector(`[data-unsent]`, { state: 'detached', timeout: 8_000 });
    expect(sent().map((frame) => frame.body)).toEqual([{ kind: 'text', text: 'later' }]);
  });

  it('shows an address as the visitor has it, also where a percent sign stands alone', async () => {
    await start((all) => {
      const visit = all.conversations[0]?.contact.visit;
      if (visit) Object.assign(visit, { url: 'https://shop.example.com/sale?off=50%', referrer: 'https://shop.example.com/%E9%9E%8B' });
    });
    await open('5000');
    await page.waitForSelector('aside >> text="/sale?off=50%"');
    await page.waitForSelector('aside >> text="/鞋"');
  });

  async function settings(): Promise<void> {
    await page.evaluate(() => (location.hash = '#/settings'));
    await page.waitForSelector('section >> text=Appearance');
  }

  it('adds an agent, shows the password once, and offers the agent for assignment', async () => {
    await start();
    await settings();
    await page.click('button:has-text("Add agent")');
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('name');
    await page.keyboard.type('Bo Lin');
    await page.fill('dialog [name=email]', 'jonas@northwind.example');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog [role=alert]:has-text("Another agent has this e-mail")');
    await page.fill('dialog [name=email]', 'bo@northwind.example');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.textContent('dialog [data-password]')).toBe('tR4x_9kLm2Qw8VzN');
    await page.mouse.click(10, 10);
    await page.click('dialog button:has-text("Done")');
    await expect.poll(() => page.locator('[data-password]').count()).toBe(0);
    await page.waitForSelector('[data-member]:has-text("bo@northwind.example")');
    await page.evaluate(() => (location.hash = '#/c/5000'));
    await page.click('[aria-label^="Assignee"]');
    await page.waitForSelector('[role=menuitemradio]:has-text("Bo Lin")');
  });

  it('disables an agent, who can not be assigned then, and enables it again', async () => {
    await start();
    await settings();
    const choose = async (text: string) => {
      await page.click('[data-member="9002"] button');
      await page.click(`[role=menuitem]:has-text("${text}")`);
    };
    await choose('Disable');
    await page.waitForSelector('[data-member="9002"]:has-text("Disabled")');
    await page.evaluate(() => (location.hash = '#/c/5000'));
    await page.click('[aria-label^="Assignee"]');
    await page.waitForSelector('[role=menuitemradio]');
    expect(await page.locator('[role=menuitemradio]:has-text("Jonas")').count()).toBe(0);
    await page.keyboard.press('Escape');
    await settings();
    await choose('Enable again');
    await page.waitForSelector('[data-member="9002"]:has-text("Disabled")', { state: 'detached' });
  });

  it('asks before it resets a password', async () => {
    await start();
    await settings();
    await page.click('[data-member="9002"] button');
    await page.click('[role=menuitem]:has-text("Reset password")');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('dialog').count()).toBe(0);
    expect(page.url()).toContain('#/settings');
    await page.click('[data-member="9002"] button');
    await page.click('[role=menuitem]:has-text("Reset password")');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('dialog [data-password]');
  });

  it('changes the own password, and says when the current one is wrong', async () => {
    await start();
    await settings();
    await page.click('button:has-text("Change password")');
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('old');
    await page.fill('[name=old]', 'wrong');
    await page.fill('[name=new]', 'a longer password');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog [role=alert]:has-text("current password is wrong")');
    await page.fill('[name=old]', 'correct horse');
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=Other devices are signed out');
    expect(await page.locator('dialog').count()).toBe(0);
  });

  it('shows the team to nobody who may not administer it', async () => {
    await start((all) => {
      all.me.role = 'agent';
    });
    await settings();
    expect(await page.locator('[data-member]').count()).toBe(0);
    expect(await page.locator('button:has-text("Add agent")').count()).toBe(0);
    await page.waitForSelector('button:has-text("Change password")');
  });

  it('shows one pane at a time on a phone, and leads back', async () => {
    await start(undefined, { width: 390, height: 844 });
    expect(await page.locator('#thread').count()).toBe(0);
    await open('5000');
    expect(await page.locator('[data-conversation="5000"]').isVisible()).toBe(false);
    await page.click('[aria-label="Back to the list"]');
    await expect.poll(() => page.locator('[data-conversation="5000"]').isVisible()).toBe(true);
  });

  it('signs in, says what is wrong, and waits out a limit', async () => {
    await start();
    await page.click('[aria-label^="Account"]');
    await page.click('text=Sign out');
    await page.waitForSelector('form');
    const submit = async () => {
      await page.fill('[name=email]', 'mei@example.com');
      await page.fill('[name=password]', 'secret');
      await page.keyboard.press('Enter');
    };
    server.answer = () => ({ status: 401, json: { code: 'unauthorized' } });
    await submit();
    await page.waitForSelector('[role=alert]:has-text("do not match")');
    server.answer = () => ({ status: 429, headers: { 'retry-after': '2' }, json: { code: 'rate_limited' } });
    await submit();
    await page.waitForSelector('[role=alert]:has-text("Too many attempts")');
    server.answer = null;
    await expect.poll(() => page.locator('button[type=submit]').isEnabled(), { timeout: 5_000 }).toBe(true);
    await submit();
    await page.waitForSelector('[data-conversation]');
  });
});
