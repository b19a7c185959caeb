/** Small models and folders for the tests of calibration. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attr, Dim, DType, Graph, Model, Node, Tensor, ValueInfo } from '../../compiler/graph/types.ts';
import { QcError } from '../../grammar/diagnostics.ts';

export const info = (name: string, dtype: DType, shape: readonly Dim[]): ValueInfo => ({ name, dtype, shape });

export const node = (op: string, inputs: string[], outputs: string[], attrs: Record<string, Attr> = {}): Node => ({
  name: `${op}_${outputs[0]}`,
  op,
  domain: '',
  inputs,
  outputs,
  attrs: new Map(Object.entries(attrs)),
});

export const graph = (inputs: ValueInfo[], nodes: Node[], outputs: ValueInfo[], initializers: Record<string, Tensor> = {}): Graph => ({
  name: 'g',
  nodes,
  inputs,
  outputs,
  initializers: new Map(Object.entries(initializers)),
  values: new Map(),
});

export const model = (g: Graph): Model => ({
  irVersion: 8,
  opsets: new Map([['', 17]]),
  producer: '',
  producerVersion: '',
  domain: '',
  modelVersion: 0,
  doc: '',
  metadata: new Map(),
  graph: g,
  functions: [],
});

export const floatTensor = (shape: number[], data: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  source: { kind: 'bytes', bytes: new Uint8Array(Float32Array.from(data).buffer) },
});

/** A folder with these files, and its removal. */
export function folder(files: Record<string, Uint8Array | string>): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'qc-test-'));
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), bytes);
  }
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The user error that something throws, as one text: `code: message | hint`. A thrown non-QcError fails the test by being thrown on. */
export async function errorOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (e) {
    if (!(e instanceof QcError)) throw e;
    return e.diagnostics.map((d) => `${d.code}: ${d.message}${d.hint === undefined ? '' : ` | ${d.hint}`}`).join('\n');
  }
  return 'no error';
}

/** Numbers that look random and are the same everywhere (a 32-bit LCG), in (−1, 1). */
export function numbers(n: number, seed = 1): Float32Array {
  let s = seed >>> 0;
  return Float32Array.from({ length: n }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s / 2 ** 31 - 1) * 0.999;
  });
}
