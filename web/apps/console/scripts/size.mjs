// Fails if the first load of the built console is larger than 200 KB after gzip.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const LIMIT = 200 * 1024;
const ROOT = new URL('../../../../src/unique_cs/api/assets/console/', import.meta.url).pathname;
const page = readFileSync(join(ROOT, 'index.html'), 'utf8');
const parts = ['index.html', ...[...page.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map((match) => match[1])];
const sizes = parts.map((part) => ({ part, bytes: gzipSync(readFileSync(join(ROOT, part))).length }));
const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);

for (const { part, bytes } of sizes) console.log(`${(bytes / 1024).toFixed(1).padStart(7)} KB  ${part}`);
console.log(`${(total / 1024).toFixed(1).padStart(7)} KB  first load, limit ${LIMIT / 1024} KB`);
if (total > LIMIT) process.exit(1);
