const en = {
  shop: 'Oak & Ember',
  note: 'This is a demo shop. The button in the corner is the chat widget; agents answer in the {console}.',
  console: 'console',
  nav: ['Lighting', 'Furniture', 'Table', 'Textiles'],
  bag: 'Bag',
  season: 'Winter 2026',
  headline: 'Slow things for long evenings.',
  lead: 'Lamps, chairs and tableware from eleven small workshops, made to be kept and to be mended.',
  browse: 'See the collection',
  ask: 'Ask us anything',
  collection: 'The collection',
  count: '6 pieces, all in stock',
  add: 'Add to bag',
  added: 'In your bag',
  back: 'All pieces',
  askAbout: 'Ask about this piece',
  promise: [
    ['Delivered in 2–4 days', 'Free from €80, carbon counted and paid for.'],
    ['30 days to decide', 'Send it back in any box. We pay.'],
    ['Mended for life', 'Every joint and every switch, at cost.'],
  ],
  foot: 'A demonstration. Nothing here is for sale.',
};

const zh: typeof en = {
  shop: '橡与烬',
  note: '这是一个演示商店。右下角的按钮就是在线客服组件，客服在{console}中回复。',
  console: '工作台',
  nav: ['灯具', '家具', '餐具', '织物'],
  bag: '购物袋',
  season: '2026 冬季',
  headline: '漫长的夜晚，值得慢慢用的好东西。',
  lead: '灯、椅与餐具，来自十一家小作坊。为长久使用而做，也为能够修补而做。',
  browse: '浏览全部',
  ask: '咨询客服',
  collection: '全部作品',
  count: '共 6 件，均有现货',
  add: '加入购物袋',
  added: '已加入',
  back: '返回全部',
  askAbout: '咨询这件作品',
  promise: [
    ['2–4 天送达', '满 600 元包邮，碳排放已抵消。'],
    ['30 天无理由退换', '用任何纸箱寄回都可以，运费由我们承担。'],
    ['终身维修', '每一处榫卯、每一个开关，只收成本。'],
  ],
  foot: '仅供演示，页面中的商品并不出售。',
};

export const chinese = navigator.languages.find((tag) => /^(zh|en)/i.test(tag))?.startsWith('zh') ?? false;
export const text = chinese ? zh : en;
export const locale = chinese ? 'zh-CN' : 'en';

export function price(euros: number): string {
  const [currency, value] = chinese ? ['CNY', euros * 7.8] : ['EUR', euros];
  return new Intl.NumberFormat(chinese ? 'zh-CN' : 'en-IE', { style: 'currency', currency, maximumFractionDigits: 0 }).format(Math.round(value));
}
