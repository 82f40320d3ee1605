import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INBOX, Server } from './server.mjs';
import { browser } from './stage.mjs';

const WAIT = { timeout: 30_000 };
let chromium;
let server;
let desk;

beforeAll(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start()]);
  desk = await server.agent();
});
afterAll(async () => {
  await chromium?.close();
  await server?.stop();
});

/** A visitor whose network lets no WebSocket through; where `buffered`, no stream either. */
async function visitor({ buffered }) {
  const context = await chromium.newContext({ locale: 'en-US' });
  await context.routeWebSocket(/./, (socket) => socket.close({ code: 1006 }));
  const page = await context.newPage();
  page.asked = [];
  page.on('request', (request) => request.url().includes('/api/v1/stream') && page.asked.push(new URL(request.url())));
  if (buffered) await context.route((url) => url.pathname === '/api/v1/stream' && !url.search, (route) => route.abort());
  await page.goto(`${server.origin}/chat/${INBOX}`);
  await page.locator('textarea').waitFor();
  return page;
}

async function say(page, text) {
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

const texts = (page) => page.locator('.bubble').allInnerTexts();
const said = async (id) => (await desk.events(id)).filter((event) => event.name === 'message.created').map((event) => event.data.body.text);

describe.each([{ buffered: false }, { buffered: true }])('a visitor without WebSocket ($buffered: streams are held up)', ({ buffered }) => {
  it('talks both ways over HTTP, and nothing is lost or doubled when the server is killed', async () => {
    const page = await visitor({ buffered });
    await say(page, 'visitor 0');
    await page.locator('.mark.sent, .mark.delivered').first().waitFor(WAIT);
    const id = (await desk.conversations())[0].id;
    const expected = ['visitor 0'];
    for (let turn = 1; turn <= 6; turn += 1) {
      const [ours, theirs] = [`visitor ${turn}`, `agent ${turn}`];
      await say(page, ours);
      if (turn === 3) {
        await server.kill();
        await server.run();
      }
      await expect.poll(() => said(id), WAIT).toEqual([...expected, ours]);
      await desk.say(id, theirs);
      expected.push(ours, theirs);
      await expect.poll(() => texts(page), WAIT).toEqual(expected);
    }
    await expect.poll(() => page.locator('.mark.sending').count(), WAIT).toBe(0);
    expect(await said(id)).toEqual(expected);
    expect(page.asked.some(({ search }) => search.startsWith('?poll=1'))).toBe(buffered);
    await page.context().close();
  });
});
