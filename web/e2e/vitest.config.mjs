import { defineConfig } from 'vitest/config';

/** In a real browser, one file after the other: the machine may have two cores. Run after `npm run build`. */
export default defineConfig({
  test: {
    // A browser on a busy machine may be late once; a test that fails twice has found something.
    retry: 1, include: ['e2e/**/*.e2e.mjs'], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
});
