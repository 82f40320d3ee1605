// Takes the pictures of this folder from a real server: `node docs/images/take.mjs` after `make run` built the web assets.
import { createHmac } from 'node:crypto';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INBOX, OWNER, Server } from '../../web/e2e/server.mjs';
import { browser } from '../../web/e2e/stage.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const WIDE = { width: 1280, height: 800 };

const TALKS = {
  'en-US': {
    others: [
      ['Bo Andersson', '/demo/#linen', 'Do you ship to Norway?'],
      ['Priya Raman', '/demo/#oak', 'The oak stool arrived with a scratch. Can I send a photo?'],
      ['Jonas Weber', '/demo/#lamp', 'Is the lamp dimmable?'],
    ],
    name: 'Ann Li',
    lines: [
      ['visitor', 'Hi! I ordered the walnut desk lamp on Monday and the tracking page has not moved since. Is something wrong?'],
      ['agent', 'Good morning Ann! Let me look that up for you.'],
      ['agent', 'It left our warehouse this morning. The carrier scans it tonight, so the page will wake up by tomorrow.'],
      ['visitor', 'Great, thank you!'],
      ['visitor', 'One more thing: would it fit a 24 mm desk edge?'],
    ],
  },
  'zh-CN': {
    others: [
      ['陈晓', '/demo/#linen', '请问可以寄到新疆吗？'],
      ['王建国', '/demo/#oak', '收到的橡木凳有一道划痕，可以发照片给你们看吗？'],
      ['林雨桐', '/demo/#lamp', '这款台灯可以调光吗？'],
    ],
    name: '李安',
    lines: [
      ['visitor', '您好，我周一下单的胡桃木台灯，物流页面一直没有更新，是不是出什么问题了？'],
      ['agent', '早上好！我帮您查一下，请稍等。'],
      ['agent', '您的包裹今天早上已经从仓库发出，快递公司今晚会扫描入库，明天就能看到最新的物流信息了。'],
      ['visitor', '好的，谢谢！'],
      ['visitor', '另外想问一下，这款能夹 24 毫米厚的桌板吗？'],
    ],
  },
};

const EMAILS = { 'Ann Li': 'ann.li@example.com', 李安: 'li.an@example.com' };

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function identity(secret, name) {
  const claims = { aud: INBOX, sub: name, name, email: EMAILS[name], exp: Math.floor(Date.now() / 1000) + 300 };
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A visitor on the shop's page, with the chat open. */
async function visitor(chromium, server, locale, path, token) {
  const context = await chromium.newContext({ locale, viewport: WIDE });
  const page = await context.newPage();
  await page.goto(server.origin + path);
  await page.locator('unique-cs').waitFor({ state: 'attached' });
  await page.evaluate((identityToken) => window.uniqueCS('setUser', { identityToken }), token);
  await page.evaluate(() => window.uniqueCS('show'));
  // The launcher keeps its tree to itself, so the panel is found among the page's frames.
  let panel;
  while (!(panel = page.frames().find((frame) => frame.url().includes('/widget/')))) await page.waitForEvent('framenavigated');
  await panel.locator('textarea').waitFor();
  return { context, page, panel };
}

async function say({ panel }, text) {
  await panel.locator('textarea').fill(text);
  await panel.locator('textarea').press('Enter');
  await panel.getByText(text).first().waitFor();
}

/** The agent at the console, with one conversation open. */
async function agent(chromium, server, locale, conversation) {
  const context = await chromium.newContext({ locale, viewport: WIDE });
  const page = await context.newPage();
  await page.goto(`${server.origin}/console/`);
  await page.locator('input[name=email]').fill(OWNER.email);
  await page.locator('input[name=password]').fill(OWNER.password);
  await page.locator('button[type=submit]').click();
  await page.getByRole('tab').last().click();
  await page.locator(`[data-conversation="${conversation}"]`).click();
  await page.locator('[role=log]').waitFor();
  return page;
}

async function take(chromium, locale) {
  const server = await Server.start();
  const { token, agent: owner } = await server.call('POST', '/auth/login', OWNER);
  const [{ id }] = (await server.call('GET', '/inboxes', undefined, token)).inboxes;
  const { identity_secret: secret } = await server.call('GET', `/inboxes/${id}`, undefined, token);
  const { others, name, lines } = TALKS[locale];
  for (const [who, path, text] of others) await say(await visitor(chromium, server, locale, path, identity(secret, who)), text);
  const ann = await visitor(chromium, server, locale, '/demo/', identity(secret, name));
  await say(ann, lines[0][1]);
  const { conversations } = await server.call('GET', '/conversations', undefined, token);
  const talk = conversations.find((each) => each.contact.name === name).id;
  await server.call('POST', `/conversations/${talk}/assign`, { agent: owner.id }, token);
  const desk = await agent(chromium, server, locale, talk);
  for (const [who, text] of lines.slice(1)) {
    if (who === 'visitor') await say(ann, text);
    else {
      await desk.locator('textarea').fill(text);
      await desk.locator('textarea').press('Enter');
      await ann.panel.getByText(text).waitFor();
    }
  }
  await desk.getByText(lines.at(-1)[1]).first().waitFor();
  // What was read is told at most once a second.
  await desk.waitForTimeout(2_500);
  const suffix = locale === 'en-US' ? '' : '.zh-CN';
  await desk.screenshot({ path: `${HERE}/console${suffix}.png` });
  await ann.page.screenshot({ path: `${HERE}/widget${suffix}.png` });
  await server.stop();
}

const chromium = await browser();
for (const locale of Object.keys(TALKS)) await take(chromium, locale);
await chromium.close();
