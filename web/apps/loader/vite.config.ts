import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: '../../../src/unique_cs/api/assets/loader',
    emptyOutDir: true,
    target: ['chrome90', 'firefox101', 'safari15'],
    lib: { entry: 'src/main.ts', formats: ['iife'], name: 'uniqueCSLoader', fileName: () => 'widget.js' },
  },
});
