// Takes the pictures of every screen of the widget: `node e2e/shots.mjs [folder]` after `npm run build`.
import { mkdirSync } from 'node:fs';
import { ORIGIN, Stage, browser, talk } from './stage.mjs';

const folder = process.argv[2] ?? '/tmp/widget-shots';
const only = process.argv[3] ? new RegExp(process.argv[3]) : /./;
mkdirSync(folder, { recursive: true });

const OPENED = { name: 'conversation.opened', data: { inbox: '1', contact: { id: '7001' } } };
const ASSIGNED = { name: 'conversation.assigned', data: { assignee: { id: '9001', name: 'Mei Lin' }, previous: null } };
const LINES = {
  'en-US': [
    ['me', OPENED], ['me', 'Hi! I ordered the walnut desk lamp on Monday (#10482) and the tracking page https://shop.example/track?id=10482 has not moved since.\nIs something wrong?'],
    ['mei', ASSIGNED], ['mei', 'Good morning! Let me look that up for you.'], ['mei', 'It left our warehouse this morning — the carrier scans it tonight, so the page will wake up by tomorrow.'],
    ['me', 'Great, thank you 🙏', 2], ['me', 'One more thing: would this one fit a 24 mm desk edge?', 1400],
    ['mei', { kind: 'card', title: 'Arc clamp, brass', description: 'Fits edges from 10 to 40 mm.\nIn stock, ships today.', price: '€ 24.00', url: 'https://shop.example/arc', actions: [{ title: 'Add to my order', text: 'Please add it to my order' }] }, 2],
    ['mei', { kind: 'choices', text: 'Shall I add it to the same parcel?', options: ['Yes, please', 'No, thanks'] }],
  ],
  'zh-CN': [
    ['me', OPENED], ['me', '您好，我周一下单的胡桃木台灯（订单号 10482），物流页面 https://shop.example/track?id=10482 一直没有更新。\n是不是出什么问题了？'],
    ['mei', ASSIGNED], ['mei', '早上好！我帮您查一下，请稍等。'], ['mei', '您的包裹今天早上已经从仓库发出，快递公司今晚会扫描入库，明天就能看到最新的物流信息了。'],
    ['me', '好的，谢谢 🙏', 2], ['me', '另外想问一下，这款能夹 24 毫米厚的桌板吗？', 1400],
    ['mei', { kind: 'card', title: '黄铜桌边夹', description: '适合 10–40 毫米桌板。\n现货，今天发出。', price: '¥188.00', url: 'https://shop.example/arc', actions: [{ title: '加入我的订单', text: '请帮我加入订单' }] }, 2],
    ['mei', { kind: 'choices', text: '要和台灯放在同一个包裹里吗？', options: ['好的', '不用了'] }],
  ],
};
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

async function scenes(page, name, stage, texts) {
  await page.goto(`${ORIGIN}/demo/`, { waitUntil: 'networkidle' });
  const shoot = (what) => page.screenshot({ path: `${folder}/${name}-${what}.png` });
  await shoot('demo');
  await page.locator('unique-cs').waitFor({ state: 'attached' });
  await page.evaluate(() => window.uniqueCS('show'));
  await page.waitForTimeout(900);
  await shoot(stage.events.length ? 'thread' : 'greeting');
  const frame = page.frames().find((candidate) => candidate.url().includes('/widget/'));
  if (stage.events.length === 0) return;
  const say = async (text) => {
    await frame.locator('textarea').fill(text);
    await frame.locator('textarea').press('Enter');
  };
  await say(texts[0]);
  await say('fail');
  await page.waitForTimeout(300);
  stage.online = false;
  for (const socket of stage.sockets) await socket.close({ code: 1012 });
  await say(texts[1]);
  await page.waitForTimeout(700);
  await shoot('lost');
}

const it = await browser();
for (const locale of Object.keys(LINES)) {
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      for (const empty of [true, false]) {
        const name = `${locale.slice(0, 2)}-${colorScheme}-${size}`;
        if (!only.test(name)) continue;
        const stage = new Stage(empty ? {} : { events: talk(LINES[locale]), typing: true, unread: false, cursors: [{ actor: { kind: 'agent', id: '9001' }, read: 7, delivered: 7 }] });
        const context = await it.newContext({ locale, colorScheme, viewport, deviceScaleFactor: size === 'phone' ? 2 : 1, hasTouch: size === 'phone', isMobile: size === 'phone' });
        await stage.attach(context);
        const page = await context.newPage();
        page.on('console', (message) => message.type() === 'error' && !/WebSocket|404/.test(message.text()) && console.log(name, message.text()));
        page.on('pageerror', (error) => console.log(name, error.message));
        await scenes(page, name, stage, locale === 'en-US' ? ['Yes, please!', 'And is gift wrapping possible?'] : ['好的，麻烦您了', '可以帮忙包装成礼物吗？']);
        await context.close();
      }
    }
  }
}
await it.close();
