import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INBOX, OWNER, Server, identityToken } from './server.mjs';
import { browser } from './stage.mjs';

const WAIT = { timeout: 20_000 };
let chromium;
let server;
/** Signed in once: logins are limited, and a session outlives the server's death. */
let desk;
let contexts = [];

beforeAll(async () => {
  [chromium, server] = await Promise.all([browser(), Server.start()]);
  desk = await server.agent();
});
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
});
afterAll(async () => {
  await chromium?.close();
  await server?.stop();
});

async function person() {
  const context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 } });
  contexts.push(context);
  return context;
}

/** A visitor on the chat page. */
async function visitor(context) {
  const page = await (context ?? (await person())).newPage();
  page.sockets = [];
  page.on('websocket', (socket) => page.sockets.push(socket));
  await page.goto(`${server.origin}/chat/${INBOX}`);
  await page.locator('textarea').waitFor();
  return page;
}

/** The agent in the console, with the visitor's conversation open. */
async function agent(conversation) {
  const page = await (await person()).newPage();
  await page.goto(`${server.origin}/console/`);
  await page.locator('input[name=email]').fill(OWNER.email);
  await page.locator('input[name=password]').fill(OWNER.password);
  await page.locator('button[type=submit]').click();
  await page.getByRole('tab', { name: 'All' }).or(page.getByRole('button', { name: 'All', exact: true })).first().click();
  await page.locator(`[data-conversation="${conversation}"]`).click();
  await page.locator('[role=log]').waitFor();
  return page;
}

async function say(page, text) {
  await page.locator('textarea').fill(text);
  await page.locator('textarea').press('Enter');
}

/** The texts in the thread, from the top. */
function texts(page) {
  return page.locator('.bubble').allInnerTexts();
}

/** The visitor's conversation: the one whose first message is `text`. */
async function conversationOf(text) {
  let found;
  await expect.poll(async () => {
    for (const conversation of await desk.conversations()) {
      if ((await said(conversation.id)).includes(text)) found = conversation.id;
    }
    return found;
  }, WAIT).toBeDefined();
  return found;
}

async function said(id) {
  return (await desk.events(id)).filter((event) => event.name === 'message.created').map((event) => event.data.body.text);
}

describe('visitor and agent', () => {
  it('talk both ways: shop page and console, marks and typing', async () => {
    const shop = await (await person()).newPage();
    await shop.goto(`${server.origin}/demo/`);
    await shop.getByRole('button', { name: 'Ask us anything' }).click();
    await expect.poll(() => shop.frames().length, WAIT).toBe(2);
    const frame = shop.frames()[1];
    await frame.getByRole('button', { name: 'Where is my order?' }).click();
    await frame.locator('.mark.sent').waitFor();
    const id = await conversationOf('Where is my order?');
    const console_ = await agent(id);
    await console_.getByRole('log').getByText('Where is my order?').waitFor();
    await frame.locator('.mark.read').waitFor(WAIT);
    await console_.locator('textarea').pressSequentially('On its');
    await frame.locator('.typing').waitFor(WAIT);
    await say(console_, 'On its way!');
    await frame.locator('.theirs').getByText('On its way!').waitFor(WAIT);
    await say(frame, 'Thank you');
    // What the visitor is writing shows there, too: the timeline says that it was sent.
    await console_.getByRole('log').getByText('Thank you').waitFor(WAIT);
    await expect.poll(() => said(id), WAIT).toEqual(['Where is my order?', 'On its way!', 'Thank you']);
    expect((await desk.conversations()).find((it) => it.id === id).contact.visit.url).toBe(`${server.origin}/demo/`);
  });

  it('both catch up when the server is killed in mid-talk, and nothing is there twice', async () => {
    const page = await visitor();
    await say(page, 'visitor 0');
    await page.locator('.mark.sent').waitFor();
    const id = await conversationOf('visitor 0');
    const console_ = await agent(id);
    const expected = ['visitor 0'];
    for (let round = 1; round <= 3; round += 1) {
      for (let i = 0; i < 4; i += 1) {
        await say(page, `visitor ${round}.${i}`);
        await say(console_, `agent ${round}.${i}`);
        expected.push(`visitor ${round}.${i}`, `agent ${round}.${i}`);
        if (i === 1) await server.kill();
      }
      await page.getByText('Connection lost').waitFor({ timeout: 2_000 });
      await server.run();
      await page.getByText('Connection lost').waitFor({ state: 'detached', timeout: 40_000 });
    }
    await expect.poll(async () => (await said(id)).length, { timeout: 40_000 }).toBe(expected.length);
    const stored = await said(id);
    expect([...stored].sort()).toEqual([...expected].sort());
    for (const who of ['visitor', 'agent']) expect(stored.filter((text) => text.startsWith(who))).toEqual(expected.filter((text) => text.startsWith(who)));
    await expect.poll(() => texts(page), WAIT).toEqual(stored);
    await expect.poll(() => page.locator('.mark.sending').count(), WAIT).toBe(0);
    for (const text of stored) await expect.poll(() => console_.getByRole('log').getByText(text, { exact: true }).count(), WAIT).toBe(1);
  }, 150_000);

  it('are told within 2 s that the network is gone, and go on by themselves when it is back', async () => {
    const context = await person();
    const page = await visitor(context);
    await say(page, 'before the tunnel');
    await page.locator('.mark.sent').waitFor();
    await context.setOffline(true);
    await page.getByText('Connection lost').waitFor({ timeout: 2_000 });
    await say(page, 'in the tunnel');
    await context.setOffline(false);
    const id = await conversationOf('before the tunnel');
    await expect.poll(() => said(id), WAIT).toEqual(['before the tunnel', 'in the tunnel']);
  });
});

describe('a reload', () => {
  /** Between the page and the server: `cut` decides what passes. */
  async function between(context, link) {
    await context.routeWebSocket('**/ws', (socket) => {
      const upstream = socket.connectToServer();
      socket.onMessage((message) => link.up(message) && upstream.send(message));
      upstream.onMessage((message) => link.down(message) && socket.send(message));
    });
  }

  const type = (message) => JSON.parse(message).type;

  it('keeps a message that never reached the server, and sends it once', async () => {
    const context = await person();
    const link = { up: () => true, down: () => true };
    await between(context, link);
    const page = await visitor(context);
    await say(page, 'first words');
    await page.locator('.mark.sent').waitFor();
    let stuck = 0;
    link.up = (message) => type(message) !== 'send' || !++stuck;
    await say(page, 'stuck on the way');
    await expect.poll(() => stuck, WAIT).toBe(1);
    await page.locator('.mark.sending').waitFor();
    link.up = () => true;
    await page.reload();
    await expect.poll(() => texts(page), WAIT).toEqual(['first words', 'stuck on the way']);
    await expect.poll(() => page.locator('.mark.sending').count(), WAIT).toBe(0);
    expect(await said(await conversationOf('first words'))).toEqual(['first words', 'stuck on the way']);
  });

  it('does not double a message that was stored but whose answer was lost', async () => {
    const context = await person();
    const link = { up: () => true, down: (message) => type(message) !== 'sent' };
    await between(context, link);
    const page = await visitor(context);
    await say(page, 'heard but not answered');
    await page.locator('.mark.sending').waitFor();
    const id = await conversationOf('heard but not answered');
    link.down = () => true;
    await page.reload();
    await expect.poll(() => page.locator('.mark.sent').count(), WAIT).toBe(1);
    expect(await texts(page)).toEqual(['heard but not answered']);
    expect(await said(id)).toEqual(['heard but not answered']);
  });

  it('shows the talk again', async () => {
    const page = await visitor();
    await say(page, 'remember me');
    await page.locator('.mark.sent').waitFor();
    await page.reload();
    await expect.poll(() => texts(page), WAIT).toEqual(['remember me']);
  });
});

describe('two tabs', () => {
  it('share one session through one connection, and the second goes on when the first is closed', async () => {
    const context = await person();
    const one = await visitor(context);
    await say(one, 'from one');
    await one.locator('.mark.sent').waitFor();
    const two = await visitor(context);
    await expect.poll(() => texts(two), WAIT).toEqual(['from one']);
    await say(two, 'from two');
    await expect.poll(() => texts(one), WAIT).toEqual(['from one', 'from two']);
    await expect.poll(() => two.locator('.mark.sent').count(), WAIT).toBeGreaterThan(0);
    expect([one.sockets.length, two.sockets.length]).toEqual([1, 0]);
    const connects = [];
    two.on('websocket', (socket) => socket.on('framesent', ({ payload }) => type(payload) === 'connect' && connects.push(JSON.parse(payload))));
    await one.close();
    await say(two, 'still here');
    await expect.poll(() => two.locator('.mark.sending').count(), WAIT).toBe(0);
    await expect.poll(() => connects.length, WAIT).toBe(1);
    expect(connects[0]).toMatchObject({ c: 2, session: expect.stringMatching(/^s_/) });
    const id = await conversationOf('from one');
    await desk.say(id, 'hello, second tab');
    await expect.poll(() => texts(two), WAIT).toEqual(['from one', 'from two', 'still here', 'hello, second tab']);
    expect(await said(id)).toEqual(['from one', 'from two', 'still here', 'hello, second tab']);
  });

  it('do not wait for a first one that does not answer', async () => {
    const context = await person();
    const one = await visitor(context);
    await say(one, 'before the frost');
    await one.locator('.mark.sent').waitFor();
    const two = await visitor(context);
    await expect.poll(() => texts(two), WAIT).toEqual(['before the frost']);
    const busy = one.evaluate(() => {
      for (const end = Date.now() + 9_000; Date.now() < end; );
    });
    await say(two, 'in the frost');
    const id = await conversationOf('before the frost');
    await expect.poll(() => said(id), WAIT).toEqual(['before the frost', 'in the frost']);
    expect(two.sockets).toHaveLength(1);
    await busy;
    await say(one, 'thawed');
    await expect.poll(() => said(id), WAIT).toEqual(['before the frost', 'in the frost', 'thawed']);
    for (const page of [one, two]) await expect.poll(() => texts(page), WAIT).toEqual(['before the frost', 'in the frost', 'thawed']);
  });

  const type = (payload) => JSON.parse(payload).type;
});

describe('a visitor who signs in to the shop', () => {
  it('keeps the talk that was begun without a name; the next person at this browser does not see it', async () => {
    const context = await person();
    const page = await context.newPage();
    await page.goto(`${server.origin}/demo/`);
    await page.getByRole('button', { name: 'Ask us anything' }).click();
    await expect.poll(() => page.frames().length, WAIT).toBe(2);
    const frame = page.frames()[1];
    await say(frame, 'who am I?');
    await frame.locator('.mark.sent').waitFor();
    const id = await conversationOf('who am I?');
    const { identity_secret: secret } = await desk.inbox();

    await page.evaluate((token) => window.uniqueCS('setUser', { identityToken: token }), identityToken(secret, 'ann', 'Ann Li'));
    await expect.poll(async () => (await desk.conversations()).find((it) => it.id === id).contact, WAIT).toMatchObject({ identifier: 'ann', name: 'Ann Li', verified: true });
    await expect.poll(() => texts(frame), WAIT).toEqual(['who am I?']);
    await say(frame, 'I am Ann');
    await expect.poll(() => said(id), WAIT).toEqual(['who am I?', 'I am Ann']);

    await page.evaluate((token) => window.uniqueCS('setUser', { identityToken: token }), identityToken(secret, 'bo', 'Bo'));
    await frame.getByText('How can we help?').waitFor(WAIT);
    expect(await texts(frame)).toEqual([]);
    await say(frame, 'I am Bo');
    expect(await conversationOf('I am Bo')).not.toBe(id);
    expect(await said(id)).toEqual(['who am I?', 'I am Ann']);
  });
});
