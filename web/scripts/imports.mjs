// Imports point one way: fails where modules import each other in a circle.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { circles } from './circles.mjs';

const WEB = join(dirname(fileURLToPath(import.meta.url)), '..');

const names = ['apps', 'packages'].flatMap((kind) =>
  readdirSync(join(WEB, kind)).flatMap((part) => readdirSync(join(WEB, kind, part, 'src'), { recursive: true }).map((file) => [kind, part, 'src', ...file.split(sep)].join('/'))),
);
const modules = new Map(names.filter((name) => /\.tsx?$/.test(name)).map((name) => [name, readFileSync(join(WEB, name), 'utf8')]));

const found = circles(modules);
for (const circle of found) console.error(circle.join(' → '));
console.log(`${modules.size} modules, ${found.length} circles of imports`);
if (found.length > 0) process.exitCode = 1;
