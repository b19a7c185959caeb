import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'compiler/index.ts', cli: 'compiler/cli/main.ts', runtime: 'runtime/index.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node20',
  splitting: true,
  dts: { entry: { index: 'compiler/index.ts', runtime: 'runtime/index.ts' } },
  clean: true,
  sourcemap: false,
});
