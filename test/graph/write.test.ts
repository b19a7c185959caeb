import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Crunch } from '../../compiler/crunch.ts';
import { loadModel, loadModelFromBytes } from '../../compiler/graph/load.ts';
import type { LazyTensor, Model, Tensor } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { files } from './host.ts';
import { bytesOf, model } from './memory.ts';

const host = { ...files, crunch: { kind: 'wasm' } as Crunch };

/** Two tensors of one evaluation, of `n` bytes each; counts evaluations in `log`. */
function pair(key: string, n: number, log: string[], broken = false): [Tensor, Tensor] {
  const evaluate: LazyTensor['evaluate'] = async () => {
    log.push(key);
    if (broken) throw new Error('no such luck');
    return { a: new Uint8Array(n).fill(1), b: new Uint8Array(n).fill(2) };
  };
  const lazy = (part: string): Tensor => ({ dtype: 'uint8', shape: [n], source: { kind: 'lazy', lazy: { key, part, evaluate } } });
  return [lazy('a'), lazy('b')];
}

async function withWeights(weights: [string, Tensor][]): Promise<Model> {
  const m = await loadModelFromBytes(bytesOf(model({})));
  for (const [name, t] of weights) m.graph.initializers.set(name, t);
  return m;
}

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'qc-write-'));
  try {
    await use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('parts of one evaluation that lie together are computed once, and are aligned', () =>
  inFolder(async (dir) => {
    const log: string[] = [];
    const [a, b] = pair('one', 2000, log);
    const [c, d] = pair('two', (1 << 20) + 8, log);
    const m = await withWeights([
      ['a', a],
      ['b', b],
      ['c', c],
      ['d', d],
    ]);
    const seen: number[] = [];
    await writeModel(host, m, join(dir, 'm.onnx'), { dir, external: true, progress: (done, total) => seen.push(done / total) });
    assert.equal(log, ['one', 'two']);
    assert.is(seen.at(-1), 1);
    const back = await loadModel(files, join(dir, 'm.onnx'));
    const at = [...back.model.graph.initializers.values()].map((t) => (t.source.kind === 'file' ? t.source.at : -1));
    assert.equal(at, [0, 2048, 4096, 4096 + 1048576 + 4096]);
    const data = readFileSync(join(dir, 'm.onnx.data'));
    assert.equal([data[1999], data[2000], data[2048], data[4096], data[at[3]!]], [1, 0, 2, 1, 2]);
  }));

test('an error in the middle leaves nothing', () =>
  inFolder(async (dir) => {
    const [a] = pair('fine', 5000, []);
    const [b] = pair('broken', 5000, [], true);
    const m = await withWeights([
      ['a', a],
      ['b', b],
    ]);
    let message = '';
    await writeModel(host, m, join(dir, 'm.onnx'), { dir, external: true }).catch((e: Error) => {
      message = e.message;
    });
    assert.is(message, 'no such luck');
    assert.equal(readdirSync(dir), []);
  }));

test('a lazy tensor that yields another size than it promised is not written', () =>
  inFolder(async (dir) => {
    const [a] = pair('short', 5000, []);
    const m = await withWeights([['a', { ...a, shape: [6000] }]]);
    let message = '';
    await writeModel(host, m, join(dir, 'm.onnx'), { dir }).catch((e: Error) => {
      message = e.message;
    });
    assert.is(message, 'short.a (uint8 [6000]) is 5000 bytes instead of 6000');
    assert.not.ok(existsSync(join(dir, 'm.onnx')));
  }));

test('small models stay in one file, large ones do not', () =>
  inFolder(async (dir) => {
    const large = (65 << 20) / 4;
    const [a] = pair('a', 5000, []);
    await writeModel(host, await withWeights([['a', a]]), join(dir, 'small.onnx'), { dir });
    const quarters = ['p', 'q', 'r', 's'].map((name): [string, Tensor] => [name, pair(name, large, [])[0]]);
    await writeModel(host, await withWeights(quarters), join(dir, 'large.onnx'), { dir });
    assert.equal(readdirSync(dir).sort(), ['large.onnx', 'large.onnx.data', 'small.onnx']);
  }));

test('a tensor that is shared is written once', () =>
  inFolder(async (dir) => {
    const [a] = pair('a', 4096, []);
    const m = await withWeights([
      ['a', a],
      ['tied', a],
    ]);
    const w = await writeModel(host, m, join(dir, 'm.onnx'), { dir, external: true });
    assert.is(w.files[1]!.bytes, 4096);
  }));

test.run();
