import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MEI, ORIGIN, Stage, browser, event, talk } from './stage.mjs';

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
let chromium;
let context;

beforeAll(async () => {
  chromium = await browser();
});
afterEach(() => context?.close());
afterAll(() => chromium.close());

async function open(path, stage = new Stage(), options = {}) {
  context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 }, ...options });
  await stage.attach(context);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => /Content Security Policy/.test(message.text()) && page.problems.push(message.text()));
  await page.goto(ORIGIN + path);
  return page;
}

async function frame(page) {
  await page.waitForFunction(() => document.getElementById('unique-cs') !== null);
  await page.evaluate(() => window.uniqueCS('show'));
  await expect.poll(() => page.frames().some((it) => it.url().includes('/widget/')), { timeout: 5_000 }).toBe(true);
  return page.frames().find((it) => it.url().includes('/widget/'));
}

function say(seq, text) {
  return JSON.stringify({ ...event(seq, 'message.created', MEI, { body: { kind: 'text', text }, private: false }, Date.now()) });
}

/** In the page: what is written in the brand's colours with less than 4.5 to 1, measured on pixels. */
function contrasts() {
  const brush = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const luminance = (color) => {
    brush.fillStyle = color;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map((it) => (it / 255 <= 0.04045 ? it / 255 / 12.92 : ((it / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const token = (name) => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = `var(--${name})`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
  const text = luminance(getComputedStyle(document.querySelector('header h1')).color);
  return ['brand', 'brand-deep'].flatMap((name) => {
    const [low, high] = [text, luminance(token(name))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    return ratio >= 4.5 ? [] : [`${name}: ${ratio.toFixed(2)}`];
  });
}

describe('the loader', () => {
  it('never shifts the page and loads no panel before it is wanted', async () => {
    const page = await open('/demo/');
    await page.evaluate(() => {
      window.shifts = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifts += entry.value))).observe({ type: 'layout-shift' });
    });
    const before = await page.evaluate(() => [document.body.getBoundingClientRect().height, getComputedStyle(document.body).margin]);
    await page.waitForFunction(() => document.getElementById('unique-cs') !== null);
    expect(page.frames()).toHaveLength(1);
    await frame(page);
    expect(await page.evaluate(() => [document.body.getBoundingClientRect().height, getComputedStyle(document.body).margin])).toEqual(before);
    expect(await page.evaluate(() => window.shifts)).toBe(0);
    expect(page.problems).toEqual([]);
  });

  it('runs what was called before it was there', async () => {
    context = await chromium.newContext({ viewport: { width: 1280, height: 800 } });
    await new Stage().attach(context);
    const page = await context.newPage();
    await page.addInitScript(() => {
      window.uniqueCS = (...call) => (window.uniqueCS.q = window.uniqueCS.q ?? []).push(call);
      window.opened = 0;
      window.uniqueCS('on', 'open', () => (window.opened += 1));
      window.uniqueCS('show');
    });
    await page.goto(`${ORIGIN}/demo/`);
    await page.waitForFunction(() => window.opened === 1);
  });

  it('survives a page that replaces its whole body, and tells the panel of new addresses', async () => {
    const stage = new Stage({ events: talk([['me', 'hi']]) });
    const page = await open('/demo/', stage);
    const panel = await frame(page);
    await panel.locator('textarea').waitFor();
    await page.evaluate(() => document.body.replaceWith(document.createElement('body')));
    await page.evaluate(() => history.pushState({}, '', '/demo/#chair'));
    await expect.poll(() => stage.frames.filter((it) => it.type === 'page').map((it) => it.url), { timeout: 5_000 }).toContain(`${ORIGIN}/demo/#chair`);
    expect(await panel.locator('textarea').count()).toBe(1);
  });

  it('closes with Escape and gives the focus back', async () => {
    const page = await open('/demo/');
    const panel = await frame(page);
    await panel.locator('textarea').focus();
    const closed = page.evaluate(() => new Promise((resolve) => window.uniqueCS('on', 'close', () => resolve(document.activeElement?.id))));
    await panel.locator('textarea').press('Escape');
    expect(await closed).toBe('unique-cs');
  });

  it('counts what is unread while the panel is closed', async () => {
    const stage = new Stage({ events: talk([['me', 'hi']]), unread: false });
    const page = await open('/demo/', stage);
    const panel = await frame(page);
    await panel.getByText('hi', { exact: true }).waitFor();
    await page.evaluate(() => {
      window.counts = [];
      window.uniqueCS('on', 'unread', (count) => window.counts.push(count));
      window.uniqueCS('hide');
    });
    stage.sockets.at(-1).send(say(2, 'Hello!'));
    await page.waitForFunction(() => window.counts.at(-1) === 1);
    await page.evaluate(() => window.uniqueCS('show'));
    await page.waitForFunction(() => window.counts.at(-1) === 0);
  });

  it('fills the screen of a phone', async () => {
    const page = await open('/demo/', new Stage(), PHONE);
    const panel = await frame(page);
    await expect.poll(() => panel.evaluate(() => [innerWidth, innerHeight])).toEqual([390, 844]);
  });
});

describe('the panel', () => {
  it('shows text as text: no HTML, http(s) links only, line breaks kept', async () => {
    const stage = new Stage({ events: talk([['mei', '<img src=x onerror=alert(1)>\njavascript:alert(1) https://shop.example/a?b=1.']]) });
    const page = await open('/chat/demo', stage);
    const bubble = page.locator('.bubble');
    await bubble.waitFor();
    expect(await bubble.innerText()).toBe('<img src=x onerror=alert(1)>\njavascript:alert(1) https://shop.example/a?b=1.');
    expect(await bubble.locator('img').count()).toBe(0);
    expect(await bubble.locator('a').evaluateAll((links) => links.map((link) => link.href))).toEqual(['https://shop.example/a?b=1']);
  });

  it('goes from sending to sent, delivered and read', async () => {
    const stage = new Stage({ answer: false });
    const page = await open('/chat/demo', stage);
    await page.locator('textarea').fill('Are you there?');
    await page.locator('textarea').press('Enter');
    await page.locator('.mark.sending').waitFor();
    await expect.poll(() => stage.frames.filter((it) => it.type === 'send').length).toBe(1);
    const socket = stage.sockets.at(-1);
    socket.send(JSON.stringify({ type: 'subscribed', conversation: '8001', epoch: 'E', seq: 0 }));
    socket.send(JSON.stringify({ type: 'sent', n: 1, id: '5', conversation: '8001', seq: 1, time: Date.now() }));
    await page.locator('.mark.sent').waitFor();
    for (const name of ['delivered', 'read']) {
      socket.send(JSON.stringify({ type: 'signal', name, conversation: '8001', actor: MEI, data: { seq: 1 } }));
      await page.locator(`.mark.${name}`).waitFor();
    }
    expect(await page.locator('.message').count()).toBe(1);
  });

  it('says that a message failed, and sends it again', async () => {
    const stage = new Stage({ events: talk([['me', 'hi']]) });
    const page = await open('/chat/demo', stage);
    await page.locator('textarea').fill('fail');
    await page.locator('textarea').press('Enter');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await expect.poll(() => page.locator('.message.bad').count()).toBe(0);
  });

  it('says within 2 s that the connection is lost, and keeps what is written', async () => {
    const stage = new Stage({ events: talk([['me', 'hi']]) });
    const page = await open('/chat/demo', stage);
    await page.locator('.message').waitFor();
    stage.online = false;
    await stage.sockets.at(-1).close({ code: 1012 });
    await page.getByText('Connection lost').waitFor({ timeout: 2_000 });
    await page.locator('textarea').fill('still here');
    await page.locator('textarea').press('Enter');
    await page.locator('.mark.sending').waitFor();
    await page.getByRole('button', { name: 'Try now' }).click();
    stage.online = true;
    await page.locator('.mark.sent').last().waitFor();
    expect(await page.getByText('still here').count()).toBe(1);
  });

  it('moves nothing that is read when the connection is lost, and says what is not sent yet', async () => {
    const stage = new Stage({ events: talk(Array.from({ length: 40 }, (_, index) => ['mei', `Line ${index}`])) });
    const page = await open('/chat/demo', stage);
    await page.getByText('Line 39').waitFor();
    await page.locator('.scroll').evaluate((element) => (element.scrollTop = 200));
    const place = () => page.getByText('Line 9', { exact: true }).boundingBox();
    const before = await place();
    stage.online = false;
    for (const socket of stage.sockets) await socket.close({ code: 1012 });
    await page.getByText('Connection lost').waitFor({ timeout: 2_000 });
    expect(await place()).toEqual(before);
    await page.locator('textarea').fill('still here');
    await page.locator('textarea').press('Enter');
    await page.getByText('Not sent yet').waitFor();
  });

  it('greets a stranger also while there is no connection, and speaks of none that was lost', async () => {
    const page = await open('/chat/demo', new Stage({ online: false }));
    await page.getByText('Connecting…').waitFor();
    await page.getByText('What you write is kept').waitFor();
    expect(await page.getByText('How can we help?').isVisible()).toBe(true);
    expect(await page.getByText('Connection lost').count()).toBe(0);
  });

  it('names who answers, also where the assignment lies far above', async () => {
    const page = await open('/chat/demo', new Stage({ events: talk([['mei', 'Good morning!']]) }));
    await page.locator('header').getByText('Mei Lin is helping you').waitFor();
  });

  it.each(['#ffd400', '#7fd6a4', '#3355d8', '#16a34a', '#111111'])('is readable on a brand of %s', async (color) => {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open('/demo/', new Stage({ events: talk([['me', 'hi']]) }), { colorScheme });
      await page.waitForFunction(() => document.getElementById('unique-cs') !== null);
      await page.evaluate((brand) => window.uniqueCS('set', { color: brand }), color);
      const panel = await frame(page);
      await panel.locator('.ours .bubble').waitFor();
      expect(await panel.evaluate(contrasts)).toEqual([]);
      await context.close();
    }
  });

  it('keeps what is half written over a reload', async () => {
    const page = await open('/chat/demo', new Stage({ events: talk([['me', 'hi']]) }));
    await page.locator('textarea').fill('half a');
    await page.reload();
    await expect.poll(() => page.locator('textarea').inputValue()).toBe('half a');
  });

  it('stands still for those who want no motion', async () => {
    const page = await open('/chat/demo', new Stage({ events: talk([['me', 'hi']]), typing: true }), { reducedMotion: 'reduce' });
    await page.locator('.typing').waitFor();
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  });

  it('names a picture that does not load', async () => {
    const picture = { id: '1', name: 'parcel.jpg', url: 'https://files.example/gone.jpg', width: 600, height: 400 };
    const page = await open('/chat/demo', new Stage({ events: talk([['mei', { kind: 'image', attachment: picture }]]) }));
    await page.locator('.bubble').getByText('parcel.jpg').waitFor();
    expect(await page.locator('.bubble img').count()).toBe(0);
  });

  it('does not send when Enter only ends a word of an input method', async () => {
    const page = await open('/chat/demo', new Stage({ events: talk([['me', 'hi']]) }));
    const field = page.locator('textarea');
    await field.fill('nihao');
    await field.dispatchEvent('keydown', { key: 'Enter', isComposing: true });
    await field.dispatchEvent('keydown', { key: 'Enter', keyCode: 229 });
    expect(await field.inputValue()).toBe('nihao');
    await field.press('Shift+Enter');
    expect(await field.inputValue()).toBe('nihao\n');
  });

  it('keeps the view still while the reader is above, and counts what comes below', async () => {
    const lines = Array.from({ length: 40 }, (_, index) => [index % 2 ? 'mei' : 'me', `Line ${index}`]);
    const stage = new Stage({ events: talk(lines) });
    const page = await open('/chat/demo', stage);
    await page.getByText('Line 39').waitFor();
    await page.locator('.scroll').evaluate((element) => (element.scrollTop = 200));
    for (const seq of [41, 42]) stage.sockets.at(-1).send(say(seq, `New ${seq}`));
    await page.getByRole('button', { name: '2 new messages' }).waitFor();
    expect(await page.locator('.scroll').evaluate((element) => element.scrollTop)).toBe(200);
    await page.getByRole('button', { name: '2 new messages' }).click();
    await expect.poll(() => page.locator('.scroll').evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight)).toBeLessThan(2);
    expect(await page.locator('.pill').count()).toBe(0);
  });

  it('speaks Chinese to a Chinese browser and English to the others', async () => {
    for (const [locale, words] of [['zh-TW', '请问有什么可以帮您？'], ['fr-FR', 'How can we help?']]) {
      const page = await open('/chat/demo', new Stage(), { locale });
      await page.getByText(words).waitFor();
      await context.close();
    }
  });

  it('draws rich messages, and sends the choice that is made', async () => {
    const stage = new Stage({ events: talk([['mei', { kind: 'card', title: 'Lamp', url: 'javascript:alert(1)' }], ['mei', { kind: 'choices', text: 'Which?', options: ['Red', { title: 'Blue' }] }]]) });
    const page = await open('/chat/demo', stage);
    await page.getByRole('button', { name: 'Blue' }).click();
    await page.locator('.ours').getByText('Blue').waitFor();
    expect(await page.getByRole('button', { name: 'Red' }).isDisabled()).toBe(true);
    expect(await page.locator('.card a').count()).toBe(0);
    expect(page.problems).toEqual([]);
  });
});
