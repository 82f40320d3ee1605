// What a visitor downloads, gzip: fails over the budget. Run after `npm run build`.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const ASSETS = join(dirname(fileURLToPath(import.meta.url)), '../../src/unique_cs/api/assets');
const LOADER = 4_000;
const TOTAL = 30_000;

const size = (path) => gzipSync(readFileSync(join(ASSETS, path)), { level: 9 }).length;
const files = readdirSync(join(ASSETS, 'widget/assets'));
const named = (pattern) => files.filter((file) => pattern.test(file)).map((file) => `widget/assets/${file}`);

// Opening the panel loads all of these, and the texts of one language: the larger one counts.
const languages = named(/^(en|zh)-.*\.js$/).sort((a, b) => size(b) - size(a));
const always = ['loader/widget.js', 'widget/index.html', ...named(/^index-.*\.js$/), ...named(/\.css$/), ...languages.slice(0, 1)];
const later = named(/^(rich|http)-.*\.js$/);

const total = always.reduce((sum, path) => sum + size(path), 0);
for (const path of [...always, ...later]) console.log(`${String(size(path)).padStart(6)}  ${path}${later.includes(path) ? '  (only when needed)' : ''}`);
console.log(`${String(total).padStart(6)}  loader + panel, at most ${TOTAL}`);

if (always.length !== 5) throw new Error(`expected five files, found ${always.join(', ')}`);
if (size('loader/widget.js') > LOADER) throw new Error('the loader is over its budget');
if (total > TOTAL) throw new Error('loader + panel are over their budget');
