import { posix } from 'node:path';

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;

/** Imports that come back to where they began, also those of types and those that wait. `modules`: path → text. */
export function circles(modules) {
  const graph = new Map([...modules].map(([path, text]) => [path, imports(path, text, modules)]));
  const found = [];
  const done = new Set();
  const walk = (path, above) => {
    if (above.includes(path)) return void found.push([...above.slice(above.indexOf(path)), path]);
    if (done.has(path)) return;
    for (const next of graph.get(path)) walk(next, [...above, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return found;
}

function imports(path, text, modules) {
  return [...text.matchAll(IMPORT)].map(([, name]) => resolve(path, name, modules)).filter(Boolean);
}

/** Undefined for what is not ours: packages of others, styles. */
function resolve(path, name, modules) {
  const [, workspace, entry = 'index'] = /^@unique-cs\/([^/]+)(?:\/(.+))?$/.exec(name) ?? [];
  const base = workspace ? `packages/${workspace}/src/${entry}` : name.startsWith('.') && posix.join(posix.dirname(path), name);
  return base && [base, `${base}.ts`, `${base}.tsx`, `${base}/index.ts`].find((candidate) => modules.has(candidate));
}
