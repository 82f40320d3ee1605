import { chinese } from './texts';

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly maker: string;
  readonly about: string;
  readonly euros: number;
  /** The tint of its tile, one of six in the style sheet. */
  readonly tile: string;
  /** What stands in a 240 × 240 picture. */
  readonly drawing: string;
}

function product(id: string, euros: number, en: [string, string, string], zh: [string, string, string], drawing: string): Product {
  const [name, maker, about] = chinese ? zh : en;
  return { id, euros, name, maker, about, tile: `tile-${id}`, drawing };
}

const ground = (x: number, width: number, y = 206): string => `<ellipse cx="${x}" cy="${y}" rx="${width}" ry="7" fill="#000" opacity=".13"/>`;

export const products: readonly Product[] = [
  product(
    'lamp',
    189,
    ['Arc desk lamp', 'Walnut and brass, by Studio Hem', 'One bend of solid walnut, a brass shade that turns. Warm light, 2,700 K, dims to a glow.'],
    ['弧线台灯', '胡桃木与黄铜 · Hem 工作室', '一整根弯曲的胡桃木，可转动的黄铜灯罩。2700K 暖光，可调至微光。'],
    `${ground(122, 62)}<path d="M92 200c-22-50-14-118 52-132" fill="none" stroke="#6d4527" stroke-width="9" stroke-linecap="round"/><path d="M93 198c-20-50-13-113 49-128" fill="none" stroke="#8f6039" stroke-width="3" stroke-linecap="round"/>
     <path d="m150 112-34 92h92z" fill="#ffe9b8" opacity=".45"/><path d="M132 66c4-16 30-20 38-4l14 40c2 6-2 9-8 10l-46 6c-7 1-11-3-9-9z" fill="#c8963e"/><path d="M132 66c4-16 30-20 38-4l4 11-44 6z" fill="#e0b565"/><rect x="64" y="196" width="62" height="10" rx="5" fill="#5a3820"/>`,
  ),
  product(
    'chair',
    420,
    ['Spindle chair', 'Ash and paper cord, by Norr', 'Seven spindles, one steam-bent back, a seat of woven cord. Weighs less than a cat.'],
    ['纺锤椅', '白蜡木与纸绳 · Norr', '七根立柱，蒸汽弯曲的靠背，手编纸绳座面。比一只猫还轻。'],
    `${ground(120, 66)}<g stroke="#b98a55" stroke-width="7" stroke-linecap="round" fill="none"><path d="M84 140 74 204M156 140l10 64M98 146l-4 50M142 146l4 50"/></g><g stroke="#cda16c" stroke-width="4.5" stroke-linecap="round"><path d="M88 62l4 70M101 54l2 78M114 50l1 82M127 50l-1 82M140 54l-3 78M152 62l-4 70"/></g>
     <path d="M78 66c10-26 74-26 84 0" fill="none" stroke="#b98a55" stroke-width="10" stroke-linecap="round"/><path d="M74 132h92c6 0 8 14 2 18H72c-6-4-4-18 2-18Z" fill="#e5d1ab"/><path d="M72 144h96" stroke="#cdb58a" stroke-width="3"/>`,
  ),
  product(
    'vase',
    68,
    ['Tall vase', 'Stoneware, by Atelier Miro', 'Thrown in two halves, joined wet, glazed with ash from last year’s apple wood.'],
    ['高颈花瓶', '炻器 · Miro 工坊', '分两段拉坯，湿接成形，釉料取自去年的苹果木灰。'],
    `${ground(120, 50)}<g fill="none" stroke="#5d7a58" stroke-width="3.5" stroke-linecap="round"><path d="M120 92c-4-26-18-42-30-54M121 92c0-30 4-46 14-64M122 92c6-20 20-30 34-36"/></g><g fill="#7f9c78"><ellipse cx="88" cy="36" rx="13" ry="7" transform="rotate(40 88 36)"/><ellipse cx="104" cy="58" rx="12" ry="6" transform="rotate(50 104 58)"/><ellipse cx="137" cy="28" rx="13" ry="7" transform="rotate(-64 137 28)"/><ellipse cx="128" cy="56" rx="11" ry="6" transform="rotate(-80 128 56)"/><ellipse cx="157" cy="55" rx="13" ry="7" transform="rotate(-20 157 55)"/></g>
     <path d="M108 90h26c-2 20 2 28 16 44 18 22 10 62-10 72h-38c-20-10-28-50-10-72 14-16 18-24 16-44Z" fill="#d9d0c3"/><path d="M84 150c26 10 52-8 74 2 2 22-6 46-18 54h-38c-12-8-19-32-18-56Z" fill="#8d9aa0"/><path d="M134 90c-2 20 2 28 16 44 18 22 10 62-10 72h-14c20-16 24-50 10-72-12-18-14-28-12-44Z" fill="#000" opacity=".08"/>`,
  ),
  product(
    'cup',
    24,
    ['Morning cup', 'Porcelain, by Kiln 9', 'A handle for two fingers and a lip so thin that the tea seems to float. 260 ml.'],
    ['晨光杯', '瓷 · 九号窑', '两指大小的杯柄，薄如蝉翼的杯沿，茶汤仿佛浮在空中。260 毫升。'],
    `${ground(116, 62)}<path d="M160 112c34-8 40 44-4 50" fill="none" stroke="#c4573a" stroke-width="10" stroke-linecap="round"/><path d="M62 96h108c2 50-8 92-32 110H94C70 188 60 146 62 96Z" fill="#dd6e4e"/><path d="M132 96h38c2 50-8 92-32 110h-20c20-26 18-66 14-110Z" fill="#000" opacity=".09"/><ellipse cx="116" cy="96" rx="54" ry="13" fill="#f3d9c6"/><ellipse cx="116" cy="98" rx="46" ry="9" fill="#7a4a24"/>
     <g fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" opacity=".6"><path d="M98 76c-8-12 8-18 0-32M120 72c-8-12 8-18 0-32M140 76c-8-12 8-18 0-32"/></g>`,
  ),
  product(
    'clock',
    135,
    ['Quiet clock', 'Cherry and felt, by Tock', 'No tick at all. Hands of blued steel, a felt face that softens the room.'],
    ['静音挂钟', '樱桃木与毛毡 · Tock', '完全无声。蓝钢指针，毛毡表盘，让房间更安静。'],
    `<circle cx="124" cy="126" r="82" fill="#000" opacity=".1"/><circle cx="120" cy="120" r="82" fill="#a5643c"/><circle cx="120" cy="120" r="71" fill="#f1ebe0"/><g stroke="#8b8577" stroke-width="4" stroke-linecap="round"><path d="M120 60v8M120 172v8M60 120h8M172 120h8"/></g><g stroke="#2c3e63" stroke-linecap="round"><path d="M120 120 92 92" stroke-width="7"/><path d="M120 120l34-42" stroke-width="5"/></g><circle cx="120" cy="120" r="7" fill="#2c3e63"/>`,
  ),
  product(
    'throw',
    96,
    ['Field throw', 'Lambswool, by Weft & Co', 'Woven on a loom from 1931. Two people, one sofa, no arguments.'],
    ['田野盖毯', '羊羔毛 · Weft & Co', '出自一台 1931 年的织机。一张沙发，两个人，不用争抢。'],
    `${ground(120, 78)}<path d="M52 92c0-14 8-22 22-22h92c14 0 22 8 22 22v98c0 10-6 16-16 16H68c-10 0-16-6-16-16Z" fill="#33566b"/><path d="M52 112h136v18H52zM52 150h136v8H52z" fill="#e3b04b"/><path d="M52 136h136v8H52zM52 166h136v14H52z" fill="#e9e2d2"/><path d="M146 70h20c14 0 22 8 22 22v98c0 10-6 16-16 16h-20c8-30 6-100-6-136Z" fill="#000" opacity=".1"/><path d="M74 70c-14 0-20 10-20 20h130c-2 10-6 14-14 14H72c-22 0-22-34 2-34Z" fill="#3f6a83"/>
     <g stroke="#33566b" stroke-width="3" stroke-linecap="round"><path d="M70 206v9M84 206v9M98 206v9M112 206v9M126 206v9M140 206v9M154 206v9M168 206v9"/></g>`,
  ),
];
