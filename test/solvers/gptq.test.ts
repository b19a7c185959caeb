/** `solve gptq` on a whole model. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareModels } from '../../compiler/evaluate/index.ts';
import gptq from '../../compiler/solvers/gptq.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { workplace } from '../compile/help.ts';

const w = await workplace();
test.after(() => w.close());

const data = { data: { calib: 'test/models/llama/calib' } };
const four = 'quantize linear as W4A16 { group: 32 }';
const recipe = (solve: string, samples = 8) => `calibrate data("calib") { samples: ${samples} }\n${four}\n${solve}`;

const compiled = (text: string) => w.compiled('llama', text, data);
async function kl(output: string): Promise<number> {
  const found = await compareModels(w.host, 'test/models/llama/model.onnx', output, 'test/models/llama/calib/prefill_006.npz');
  return found.find((m) => m.name === 'kl logits')!.value;
}
async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (e) {
    if (e instanceof QcError) return e.diagnostics[0]!.code;
    throw e;
  }
  return 'nothing';
}

test('the model is nearer to float than rounded to nearest, and descent toward the float output brings it nearer', async () => {
  const nearest = await compiled(four);
  const swept = await compiled(recipe('solve gptq on linear { order: hessian }'));
  const refined = await compiled(recipe('solve gptq on linear { order: hessian, cd: 1, rescale: yes, target: float }'));
  assert.ok(
    swept.result.bytes.after < 1.001 * nearest.result.bytes.after + 16384,
    `${swept.result.bytes.after} ${nearest.result.bytes.after}`,
  );
  const all = [await kl(nearest.output), await kl(swept.output), await kl(refined.output)];
  assert.ok(all[1]! < 0.75 * all[0]! && all[2]! < all[1]!, all.join(' '));
  assert.is(swept.result.report.ledger.filter((l) => l.what === 'solve gptq').length, swept.result.plan.solves.length);
});

test('toward the float output each layer sees what was solved before it; else the layers of a block share a pass', () => {
  const wants = (p: object) => gptq.wants({ inputs: 'sequential', target: 'inputs', ...p } as never).inputs;
  assert.equal([wants({}), wants({ target: 'float' }), wants({ target: 'float', within: 'block' })], ['block', 'layer', 'block']);
  assert.equal([wants({ within: 'layer' }), wants({ inputs: 'float', target: 'float' })], ['layer', 'float']);
});

test('the same again gives the same bytes', async () => {
  const text = recipe('solve gptq on attention.q { order: hessian, cd: 1 }', 2);
  const [a, b] = [await compiled(text), await compiled(text)];
  assert.ok(a.bytes().equals(b.bytes()));
});

test('only what is selected is solved; the latest statement wins', async () => {
  const { result } = await compiled(
    `${recipe('solve gptq on attention.q or attention.k { cd: 3 }', 1)}\nsolve gptq on attention.q { damp: 0.1 }`,
  );
  const q = result.plan.solves.filter((s) => s.solver.args['damp'] === 0.1);
  assert.ok(q.length > 0 && q.every((s) => s.site.path.endsWith('q_proj') && s.solver.args['cd'] === 0));
  assert.ok(result.plan.solves.length > q.length);
});

test('too few rows are told', async () => {
  const { result } = await compiled(`calibrate data("calib") { samples: 1 }\n${four}\nsolve gptq on mlp.down`);
  const codes = result.warnings.map((x) => x.code);
  assert.is(codes.includes('few-rows'), true, codes.join());
});

test('without data, without codes, with types that it cannot solve', async () => {
  const code = (text: string, o = {}) => codeOf(() => w.compiled('llama', text, o));
  assert.is(await code(`${four}\nsolve gptq on linear`, data), 'calibration-missing');
  assert.is(await code(recipe('solve gptq on linear')), 'data-unbound');
  assert.is(
    await code('calibrate data("calib")\nquantize weight of mlp.down as int4 { group: 32 }\nsolve gptq on attention.q', data),
    'nothing-to-solve',
  );
  assert.is(
    await code('calibrate data("calib")\nquantize weight of linear as int8 { per: tensor }\nsolve gptq on linear', data),
    'solve-refused',
  );
  assert.is(await code(recipe('solve gptq on linear { order: hessian, static_groups: no }'), data), 'solve-refused');
});

test('an aborted compile stops and writes nothing', async () => {
  const stop = new AbortController();
  const before = w.files().length;
  const told: number[] = [];
  const work = w.compiled('llama', recipe('solve gptq on linear', 1), {
    ...data,
    signal: stop.signal,
    onEvent: ({ phase, done, total }) => {
      if (phase === 'solve' && done !== undefined && told.push(done / total!) === 3) stop.abort();
    },
  });
  const error = await work.then(
    () => undefined,
    (e: unknown) => e as Error,
  );
  assert.is(error?.name, 'AbortError');
  assert.ok(told.length === 3 && told.every((x, i) => x > (told[i - 1] ?? 0) && x < 1), `shares of the work: ${told.join(' ')}`);
  assert.is(w.files().length, before);
});

test('kernels of convolutions are solved on the patches they read', async () => {
  const of = async (solve: string) => {
    const text = `calibrate data("calib") { samples: 4 }\nquantize weight of conv as int4 { per: channel }\n${solve}`;
    const { output, result } = await w.compiled('mlp-conv', text, { data: { calib: 'test/models/mlp-conv/calib' } });
    const found = await compareModels(w.host, 'test/models/mlp-conv/model.onnx', output, 'test/models/mlp-conv/calib/005.npz');
    return { mse: found.find((m) => m.name.startsWith('mse'))!.value, solves: result.plan.solves.length };
  };
  const [nearest, swept] = [await of(''), await of('solve gptq on conv')];
  assert.ok(swept.solves > 0 && swept.mse < 0.8 * nearest.mse, `${swept.mse} ${nearest.mse}`);
});

test.run();
