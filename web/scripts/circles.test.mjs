import { expect, it } from 'vitest';
import { circles } from './circles.mjs';

const find = (modules) => circles(new Map(Object.entries(modules)));

it('finds modules that import each other, whatever the import is', () => {
  for (const back of ["import { a } from './a';", "import type { A } from './a';", "export { a } from './a';", "const a = import('./a');", "import {\n  a,\n} from './a';"]) {
    expect(find({ 'apps/x/src/a.ts': "import { b } from './b';", 'apps/x/src/b.tsx': back })).toEqual([['apps/x/src/a.ts', 'apps/x/src/b.tsx', 'apps/x/src/a.ts']]);
  }
});

it('follows folders and packages', () => {
  expect(find({ 'packages/p/src/index.ts': "export * from './one';", 'packages/p/src/one.ts': "import { two } from '@unique-cs/p';" })).toHaveLength(1);
  expect(find({ 'apps/x/src/ui/index.ts': "import '../main';", 'apps/x/src/main.ts': "import { ui } from './ui';" })).toHaveLength(1);
});

it('lets two modules share a third', () => {
  const shared = { 'a.ts': "import { c } from './c'; import { b } from './b';", 'b.ts': "import { c } from './c';", 'c.ts': "import { render } from 'preact';" };
  expect(find(shared)).toEqual([]);
});
