// `import 'qrecipe/runtime'`: a plain InferenceSession of onnxruntime-node runs our kernels; other models and options stay stock.

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { active } from '../../runtime/index.ts';
import { lowerTo, modelOf, noise, quantized } from '../targets/build.ts';
import { forms, inputs, pairs, weights } from './forms.ts';

const { InferenceSession, Tensor } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');

if (!active) console.log('skipped: the native addon is not built');
else {
  const host = await nodeHost();
  const folder = mkdtempSync(join(tmpdir(), 'qc-session-'));
  const lowered = async (form: string, weight: string, input: string): Promise<Model> =>
    (await lowerTo('native', quantized(modelOf(forms[form]!), weights[weight], inputs[input]))).model;
  let count = 0;
  const write = async (model: Model, external = false): Promise<string> => {
    const file = join(folder, `${count++}.onnx`);
    await writeModel(host, model, file, { dir: folder, external });
    return file;
  };
  const run = async (file: string | Uint8Array, shape: readonly number[], options = {}): Promise<Float32Array> => {
    const session = await (typeof file === 'string' ? InferenceSession.create(file, options) : InferenceSession.create(file, options));
    const x = new Tensor('float32', noise(shape.reduce((a, b) => a * b)), [...shape]);
    const { y } = await session.run({ x });
    await session.release();
    return y!.data as Float32Array;
  };
  const relative = (a: Float32Array, b: Float32Array) =>
    Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]!) ** 2, 0) / a.reduce((s, v) => s + v * v, 0));
  /** Only a kernel reads the layout attribute, so only a kernel refuses a newer one. */
  const newer = (m: Model): Model => ({
    ...m,
    graph: {
      ...m.graph,
      nodes: m.graph.nodes.map((n) =>
        n.domain === 'qc.v1' ? { ...n, attrs: new Map([...n.attrs, ['layout', { type: 'int', value: 2 } as const]]) } : n,
      ),
    },
  });
  const failure = (p: Promise<unknown>) =>
    p.then(
      () => '',
      (e: Error) => e.message,
    );

  test('kernels equal the bodies', async () => {
    for (const form of ['MatMul', 'MatMul, odd', 'Gemm with bias'])
      for (const [weight, input] of pairs(form)) {
        const file = await write(await lowered(form, weight, input), weight === 'int4 group 32');
        const shape = forms[form]!.input as number[];
        const [ours, stock] = [await run(file, shape), await run(file, shape, { executionProviders: ['cpu'] })];
        assert.is(ours.length, stock.length);
        const r = relative(stock, ours);
        assert.ok(r < 2e-6, `${form}, ${weight}, ${input}: ${r}`);
      }
  });

  test('it is our kernels that run: they refuse a newer layout, the bodies do not know of it', async () => {
    const file = await write(newer(await lowered('MatMul', 'int4 group 32', 'float')));
    assert.match(await failure(run(file, [2, 3, 64])), /qc\.v1\.LinearW4: its weights have layout 2/);
    assert.is(await failure(run(file, [2, 3, 64], { executionProviders: ['cpu'] })), '');
    assert.is(await failure(run(file, [2, 3, 64], { executionMode: 'parallel' })), '', 'an option that we do not serve: stock');
  });

  test('models from memory, models without our operators', async () => {
    const { readFile } = await import('node:fs/promises');
    const bytes = new Uint8Array(await readFile(await write(newer(await lowered('MatMul', 'int4 group 32', 'float')))));
    assert.match(await failure(run(bytes, [2, 3, 64])), /layout 2/);
    const plain = await write(modelOf(forms['MatMul']!));
    assert.is((await run(plain, [2, 3, 64])).length, 2 * 3 * 48);
  });

  test('names, types and shapes as the stock backend tells them', async () => {
    const parts = { ...forms['MatMul, odd']!, input: ['rows', 37] as const };
    const { model } = await lowerTo('native', quantized(modelOf(parts), weights['int4 group 32']));
    const file = await write(model);
    const [ours, stock] = [await InferenceSession.create(file), await InferenceSession.create(file, { executionProviders: ['cpu'] })];
    assert.equal(ours.inputNames, stock.inputNames);
    assert.equal(ours.inputMetadata, stock.inputMetadata);
    assert.equal(ours.inputMetadata[0], { name: 'x', isTensor: true, type: 'float32', shape: ['rows', 37] });
    assert.equal(ours.outputNames, stock.outputNames);
    await ours.release();
    await stock.release();
  });

  test('errors are the runtime’s own', async () => {
    const file = await write(await lowered('MatMul', 'int4 group 32', 'float'));
    assert.match(await failure(run(file, [2, 3, 63])), /qc\.v1\.LinearW4|invalid dimensions|63/);
    assert.ok((await failure(run(join(folder, 'none.onnx'), [1]))) !== '');
  });

  test.after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });
  test.run();
}
