/** Fused models against their sources, by bodies and, where they are built, by kernels. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { Model } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { fuse } from '../../compiler/lower/native/fuse.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { active } from '../../runtime/index.ts';
import { noise } from '../targets/build.ts';

const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
export const { Tensor } = ort;
export type Feeds = Record<string, InstanceType<typeof Tensor>>;
export const stock = { executionProviders: ['cpu'] };

export const relative = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]!) ** 2, 0) / (a.reduce((s, v) => s + v * v, 0) || 1));
export const operators = (m: Model): string[] => m.graph.nodes.map((n) => n.op);
/** Noise for the input "x". */
export const x = (...shape: number[]): Feeds => ({
  x: new Tensor(
    'float32',
    noise(
      shape.reduce((a, b) => a * b),
      3,
      2,
    ),
    shape,
  ),
});

export async function prover() {
  const host = await nodeHost();
  const folder = mkdtempSync(join(tmpdir(), 'qc-fused-'));
  let count = 0;
  const run = async (model: Model, dir: string, feeds: Feeds, options = {}): Promise<Record<string, Float32Array>> => {
    const file = join(folder, `${count++}.onnx`);
    await writeModel(host, model, file, { dir });
    const session = await ort.InferenceSession.create(file, options);
    const results = await session.run(feeds);
    await session.release();
    return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t!.data as Float32Array]));
  };
  return {
    host,
    folder,
    run,
    /** The fused model, equal to the source on the feeds. */
    async proved(source: Model, feeds: readonly Feeds[], dir = folder, limit = 2e-6): Promise<Model> {
      const fused = fuse(source);
      for (const feed of feeds) {
        const expected = await run(source, dir, feed, stock);
        for (const options of active ? [stock, {}] : [stock]) {
          const got = await run(fused, dir, feed, options);
          for (const [name, y] of Object.entries(expected)) {
            const r = relative(y, got[name]!);
            assert.ok(r < limit, `${name} by ${options === stock ? 'bodies' : 'kernels'}: ${r}`);
          }
        }
      }
      return fused;
    },
    async close() {
      await host.close();
      rmSync(folder, { recursive: true });
    },
  };
}
