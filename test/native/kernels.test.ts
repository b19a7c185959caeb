// Kernels of qc.v1 in a stock ONNX Runtime (Python's) equal the bodies; what does not fit is refused by the operator's name.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Attr, Model } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { held } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { lowerTo, modelOf, quantized } from '../targets/build.ts';
import { branchless, finished, forms, inputs, pairs, weights } from './forms.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const library = path(`../../runtime/native/qc-ops.${process.platform}-${process.arch}.so`);
const hasPython = spawnSync('python3', ['-c', 'import onnxruntime, numpy']).status === 0;
const missing = [existsSync(library) ? '' : library, hasPython ? '' : "Python's onnxruntime"].filter(Boolean);

interface Job {
  model: string;
  shape: readonly number[];
  seed: number;
  scale?: number;
  isa?: string;
}
type Outcome = { relative?: number; error?: string; shape?: number[] };

if (missing.length) console.log(`skipped: ${missing.join(' and ')} not here`);
else {
  const host = await nodeHost();
  const folder = mkdtempSync(join(tmpdir(), 'qc-native-'));
  let count = 0;
  const write = async (model: Model): Promise<string> => {
    const file = join(folder, `${count++}.onnx`);
    await writeModel(host, model, file, { dir: folder });
    return file;
  };
  const run = (jobs: readonly Job[]): Outcome[] => {
    const r = spawnSync('python3', [path('python.py'), library], {
      input: jobs.map((j) => JSON.stringify(j)).join('\n'),
      encoding: 'utf8',
    });
    assert.is(r.status, 0, r.stderr);
    return r.stdout
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as Outcome);
  };
  const lowered = async (form: string, weight: string, input: string): Promise<Model> =>
    (await lowerTo('native', quantized(modelOf(forms[form]!), weights[weight], inputs[input]))).model;

  test('kernels equal the bodies', async () => {
    const jobs: (Job & { name: string })[] = [];
    for (const form of Object.keys(forms))
      for (const [weight, input] of pairs(form, false)) {
        const model = await write(await lowered(form, weight, input));
        const shape = forms[form]!.input as number[];
        // Static ranges end at 4: beyond, codes are clipped, −128 among them.
        const sets = form === 'MatMul, odd' ? ['', 'scalar'] : [''];
        for (const [i, isa] of sets.entries())
          jobs.push({ name: `${form}, ${weight}, ${input}, isa ${isa}`, model, shape, seed: count, scale: i ? 1 : 30, isa });
      }
    for (const [what, { parts }] of Object.entries(finished))
      for (const input of Object.keys(inputs)) {
        const model = await write(
          (await lowerTo('native', branchless(quantized(modelOf(parts), weights['int4 group 32'], inputs[input])))).model,
        );
        for (const isa of ['scalar', ''])
          jobs.push({ name: `${what}, ${input}, isa ${isa}`, model, shape: parts.input as number[], seed: count, isa });
      }
    const results = run(jobs);
    assert.is(results.length, jobs.length);
    for (const [i, r] of results.entries()) assert.ok((r.relative ?? 1) < 2e-6, `${jobs[i]!.name}: ${JSON.stringify(r)}`);
  });

  test('what does not fit is an error that names the operator', async () => {
    const good = await lowered('MatMul', 'uint4 group 16', 'int8 per token');
    const node = good.graph.nodes.find((n) => n.domain === 'qc.v1')!;
    const attr = (name: string, a: Attr): Model => ({
      ...good,
      graph: { ...good.graph, nodes: good.graph.nodes.map((n) => (n === node ? { ...n, attrs: new Map([...n.attrs, [name, a]]) } : n)) },
    });
    const input = (index: number, bytes: number, dtype: 'uint8' | 'float32', shape: number[]): Model => ({
      ...good,
      graph: {
        ...good.graph,
        initializers: new Map([...good.graph.initializers, [node.inputs[index]!, held(dtype, shape, new Uint8Array(bytes))]]),
      },
    });
    /** Of the inputs that share a constant, one alone. */
    const instead = (index: number, bytes: number, shape: number[]): Model => ({
      ...good,
      graph: {
        ...good.graph,
        nodes: good.graph.nodes.map((n) => (n === node ? { ...n, inputs: n.inputs.map((v, i) => (i === index ? 'odd' : v)) } : n)),
        initializers: new Map([...good.graph.initializers, ['odd', held('float32', shape, new Uint8Array(bytes))]]),
      },
    });
    const ints = (...value: number[]): Attr => ({ type: 'ints', value });
    const bad: [Model, RegExp][] = [
      [attr('layout', { type: 'int', value: 2 }), /layout 2, this library reads layout 1/],
      [attr('group', { type: 'int', value: 0 }), /group is a multiple of 4/],
      [attr('group', { type: 'int', value: -16 }), /group of -16/],
      [attr('group', { type: 'int', value: 32 }), /need 128 scales, not 256/],
      [attr('group', { type: 'float', value: 1 }), /attribute "group" is missing/],
      [attr('shape', ints(64)), /not a list of 2|not 2 sizes/],
      [attr('shape', ints(64, 48, 1)), /not a list of 2|not 2 sizes/],
      [attr('shape', ints(0, 48)), /not 2 sizes/],
      [attr('shape', ints(-64, 48)), /not 2 sizes/],
      [attr('shape', ints(64, 2 ** 40)), /need \d+ bytes of codes, not 2048/],
      [attr('shape', ints(2 ** 52, 2 ** 52)), /too large/],
      [attr('shape', ints(60, 48)), /last size is not K = 60/],
      [input(1, 2047, 'uint8', [2047]), /need 2048 bytes of codes, not 2047/],
      [input(1, 0, 'uint8', [0]), /need 2048 bytes of codes, not 0/],
      [input(2, 4, 'float32', [1]), /need 256 scales, not 1/],
      [input(3, 2, 'uint8', [2]), /need 256 zero points, not 2/],
      // Inputs are typed: ONNX Runtime refuses this one itself.
      [input(1, 2048 * 4, 'float32', [2048]), /'tensor\(float\)' of input parameter \(w\/codes\) of operator \(LinearW4A8\)/],
      [input(4, 8, 'float32', [2]), /bias has 2 values/],
      [instead(5, 8, [2]), /residual has the shape \[2\], not that of y/],
      [instead(6, 8, [2]), /are no branch of 6 rows to N = 48/],
    ];
    const jobs: Job[] = [];
    for (const [model] of bad) jobs.push({ model: await write(model), shape: [2, 3, 64], seed: 1 });
    const results = run([...jobs, { model: await write(good), shape: [2, 3, 64], seed: 1, isa: 'sse9' }]);
    for (const [i, [, says]] of bad.entries()) {
      assert.match(results[i]?.error ?? JSON.stringify(results[i]), says);
      assert.match(results[i]?.error ?? '', /qc\.v1\.LinearW4A8: |operator \(LinearW4A8\)/);
    }
    assert.match(results.at(-1)?.error ?? '', /QC_ISA: there is no instruction set sse9; known: scalar/);
  });

  test.after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });
  test.run();
}
