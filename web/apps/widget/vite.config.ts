import { defineConfig, type Plugin } from 'vite';

/** Vite's own helper for dynamic imports preloads their styles and chunks. We have neither, and it weighs a kilobyte. */
const plainImports: Plugin = {
  name: 'plain-imports',
  enforce: 'pre',
  load: (id) => (id === '\0vite/preload-helper.js' ? 'export const __vitePreload = (load) => load();' : undefined),
};

export default defineConfig({
  base: '/widget/',
  plugins: [plainImports],
  // The classic runtime is smaller; the type checker does not mind.
  oxc: { jsx: { runtime: 'classic', pragma: 'h', pragmaFrag: 'Fragment' }, jsxInject: "import { h, Fragment } from 'preact';" },
  build: {
    outDir: '../../../src/unique_cs/api/assets/widget',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    target: ['chrome98', 'firefox101', 'safari16.4'],
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // Lets the chunk of rich messages import from the entry; else what both use becomes a third file.
    rolldownOptions: { preserveEntrySignatures: 'allow-extension' },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/ws': { target: 'ws://127.0.0.1:8080', ws: true } } },
});
