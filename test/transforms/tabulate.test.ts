/** Tables over the steps instead of the network of the step (TFMQ-DM): the float model exactly, without the network. */
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { floats, valueFrom } from '../../compiler/calibrate/values.ts';
import type { Model } from '../../compiler/graph/types.ts';
import type { Value } from '../../compiler/host.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { workplace } from '../compile/help.ts';
import type { Builder } from '../roles/build.ts';
import { biased, linear } from './graphs.ts';
import { apply, built, refusal, run } from './help.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
const steps = [999, 640, 320, 20, 0];

/** x and the step: sines and cosines → two linears → added to what x gives; a second head scales it. */
function diffusion(b: Builder): string[] {
  const t = b.input('t', ['batch'], 'int64');
  const x = b.input('x', ['batch', 8]);
  const angle = b.op('Mul', [b.op('Unsqueeze', [b.op('Cast', [t], { to: 1 }), b.ints(1)]), b.weight('freqs', [1, 4])]);
  const emb = b.op('Concat', [b.op('Sin', [angle]), b.op('Cos', [angle])], { axis: 1 });
  const h = biased(b, b.op('Sigmoid', [biased(b, emb, 'time_embed.0', 8, 16)]), 'time_embed.2', 16, 16);
  const [shift, scale] = [linear(b, h, 'shift', 16, 8), linear(b, h, 'scale', 16, 8)];
  return [b.op('Add', [b.op('Mul', [linear(b, x, 'fc', 8, 8), scale]), shift])];
}
const feeds = (at: readonly number[]): Record<string, Value> => ({
  t: { dtype: 'int64', shape: [at.length], bytes: new Uint8Array(BigInt64Array.from(at, BigInt).buffer) },
  x: valueFrom(
    'float32',
    [at.length, 8],
    Float32Array.from({ length: 8 * at.length }, (_, i) => Math.cos(i)),
  ),
});
const temporal = (b: ReturnType<typeof built>): string[] => b.sites.sites.filter((s) => s.role === 'temporal').map((s) => s.id);
const output = async (m: Model, at: readonly number[]) =>
  floats((await run(host, m, [m.graph.outputs[0]!.name], feeds(at)))[m.graph.outputs[0]!.name]!);

test('the tabulated graph equals the float graph exactly and has no network of the step', async () => {
  const b = built(diffusion);
  const after = await apply(host, b, 'tabulate', { sites: temporal(b) }, { steps });
  assert.match(after.applied[0]!.detail, /^2 values of \d+ operators in a table of 5 steps, 80 numbers$/);
  for (const at of [[640], [0, 999], [20, 20, 320, 640]])
    assert.equal([...(await output(after.model, at))], [...(await output(b.model, at))], at.join());
  const ops = after.model.graph.nodes.map((n) => n.op);
  assert.not.ok(ops.some((op) => ['Sin', 'Cos', 'Sigmoid'].includes(op)));
  assert.is(ops.filter((op) => op === 'MatMul').length, 2, 'fc, and the choice of a row');
  assert.equal(
    after.sites.sites.filter((s) => s.role === 'linear').map((s) => s.path),
    ['fc'],
  );
  assert.not.ok([...after.model.graph.initializers.keys()].some((n) => n.startsWith('time_embed')));
});

test('a step that is not listed is an error at run time, not a wrong row', async () => {
  const b = built(diffusion);
  const after = await apply(host, b, 'tabulate', { sites: temporal(b) }, { steps });
  let message = '';
  try {
    await output(after.model, [641]);
  } catch (e) {
    message = String(e);
  }
  assert.match(message, /out of (data )?bounds|index/i);
});

test('tabulate is refused, with the reason', async () => {
  const b = built(diffusion);
  const fc = b.sites.sites.find((s) => s.path === 'fc')!.id;
  assert.match(await refusal(() => apply(host, b, 'tabulate', { sites: [fc] }, { steps })), /^no-producer: .*temporal/);
  assert.match(await refusal(() => apply(host, b, 'tabulate', { sites: temporal(b) }, { steps: [1.5] })), /^not-constant: .*never 1.5/);
});

const dit = '../shared/models/dit';
if (existsSync(dit))
  test('in a compile of the real DiT: proved, fewer linears, the rest quantized', async () => {
    const w = await workplace();
    try {
      const list = Array.from({ length: 1000 }, (_, i) => i).join(', ');
      const { result } = await w.compiled(
        '',
        `calibrate data("calib")\ntransform tabulate on temporal { steps: [${list}] }\nquantize linear as W8A16`,
        {
          model: `${dit}/model.onnx`,
          data: { calib: `${dit}/calib` },
        },
      );
      const proof = result.report.ledger.find((l) => l.what === 'proof of transforms')!.detail;
      console.log(result.report.ledger.find((l) => l.what === 'transform tabulate')!.detail, '·', proof);
      assert.match(proof, /within (0\.0e\+0|\d\.\de-[789])/);
      assert.not.ok(result.plan.sites.sites.some((s) => s.role === 'linear' && s.members.includes('temporal')));
    } finally {
      await w.close();
    }
  });
else console.log(`skipped: no ${dit}`);

test.run();
