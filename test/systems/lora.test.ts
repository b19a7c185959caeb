/** SVDQuant: a LoRA joins the low-rank branch as further columns of its factors; no code of the residual changes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tapped } from '../../compiler/calibrate/tap.ts';
import { floats, valueFrom } from '../../compiler/calibrate/values.ts';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { Model, Tensor } from '../../compiler/graph/types.ts';
import { N } from '../transforms/toy.ts';
import { gauss, measured, toyLayer, workplace } from './toy-model.ts';

const w = await workplace();
test.after(() => w.close());
const toy = await toyLayer(w);
const [RANK, MORE] = [8, 4];

test('LoRA is a concatenation of ranks, without requantization', async () => {
  const { output } = await measured(
    w,
    toy,
    `transform lowrank on linear { rank: ${RANK}, iterations: 2, factors: float32 }
quantize weight of linear as int4 { group: 32 }`,
  );
  const { model, dir } = await loadModel(w.host, output);
  const named = (shape: string): string =>
    [...model.graph.initializers].find(([, t]) => t.dtype === 'float32' && t.shape.join() === shape)?.[0] ?? assert.unreachable(shape)!;
  const [down, up] = [named(`${N},${RANK}`), named(`${RANK},${N}`)];
  const product = model.graph.nodes.find((n) => n.inputs.includes(down))!;
  const [a, b] = [gauss(N * MORE, 0.1, 1), gauss(MORE * N, 0.1, 2)];
  const reader = openTensors(w.host, dir);
  const load = async (name: string) => new Float32Array((await reader.bytes(model.graph.initializers.get(name)!)).slice().buffer);
  const tensor = (shape: readonly number[], x: Float32Array): Tensor => ({
    dtype: 'float32',
    shape,
    source: { kind: 'bytes', bytes: new Uint8Array(x.buffer) },
  });
  const [d, u] = [await load(down), await load(up)];
  const wider = new Float32Array(N * (RANK + MORE));
  for (let i = 0; i < N; i++) {
    wider.set(d.subarray(i * RANK, (i + 1) * RANK), i * (RANK + MORE));
    wider.set(a.subarray(i * MORE, (i + 1) * MORE), i * (RANK + MORE) + RANK);
  }
  const initializers = new Map(model.graph.initializers)
    .set(down, tensor([N, RANK + MORE], wider))
    .set(up, tensor([RANK + MORE, N], Float32Array.from([...u, ...b])));
  const both: Model = { ...model, graph: { ...model.graph, initializers, values: new Map() } };
  const x = valueFrom('float32', [6, N], gauss(6 * N, 1, 3));
  const h = product.inputs[0]!;
  const run = async (m: Model, values: string[]) => {
    const session = await w.host.session(tapped(m, values), dir);
    try {
      return await session.run({ x });
    } finally {
      await session.close();
    }
  };
  const before = await run(model, ['y', h]);
  const [y, hidden] = [floats(before['y']!), floats(before[h]!)];
  const now = floats((await run(both, ['y']))['y']!);
  let [off, size] = [0, 0];
  for (let r = 0; r < 6; r++)
    for (let o = 0; o < N; o++) {
      let sum = y[r * N + o]!;
      for (let k = 0; k < MORE; k++) {
        let low = 0;
        for (let i = 0; i < N; i++) low += hidden[r * N + i]! * a[i * MORE + k]!;
        sum += low * b[k * N + o]!;
      }
      off += (now[r * N + o]! - sum) ** 2;
      size += (sum - y[r * N + o]!) ** 2;
    }
  console.log(`LoRA: relative error ${Math.sqrt(off / size).toExponential(1)}`);
  assert.ok(size > 1 && Math.sqrt(off / size) < 1e-5);
});

test.run();
