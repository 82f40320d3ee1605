import { defineConfig } from 'vite';

export default defineConfig({
  base: '/demo/',
  build: {
    outDir: '../../../src/unique_cs/api/assets/demo',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: ['chrome98', 'firefox101', 'safari16'],
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080', '/widget': 'http://127.0.0.1:8080', '/demo/config.json': 'http://127.0.0.1:8080' } },
});
