import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpz } from '../../../compiler/calibrate/npz.ts';
import type { Value } from '../../../compiler/host.ts';
import { small } from '../small-model.ts';
import { type Bad, w8 } from './types.ts';

const array = (shape: readonly number[], dtype: 'float32' | 'int64' = 'float32'): Value => ({
  dtype,
  shape,
  bytes: new Uint8Array(shape.reduce((a, b) => a * b, 1) * (dtype === 'int64' ? 8 : 4)),
});
const npz = (arrays: Record<string, Value>): Uint8Array => encodeNpz(new Map(Object.entries(arrays)));

/** A folder `calib` with these files. */
const of = (name: string, data: Record<string, string | Uint8Array>): Bad => ({
  name,
  argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx', '--data', 'calib=calib'],
  files: { 'm.onnx': small(), 'r.qrecipe': w8 },
  prepare(dir) {
    mkdirSync(join(dir, 'calib'));
    for (const [file, content] of Object.entries(data)) writeFileSync(join(dir, 'calib', file), content);
    return undefined;
  },
});
const files = { 'm.onnx': small(), 'r.qrecipe': w8 };

export const data: readonly Bad[] = [
  { name: 'data is not bound', argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx'], files },
  { name: 'data folder missing', argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx', '--data', 'calib=nowhere'], files },
  of('data folder empty', {}),
  of('data is no archive', { '0.npz': 'not a zip' }),
  of('data cut off', { '0.npz': npz({ x: array([4, 64]) }).subarray(0, 100) }),
  of('an input is missing', { '0.npz': npz({ y: array([4, 64]) }) }),
  of('an input that the model has not', { '0.npz': npz({ x: array([4, 64]), z: array([4]) }) }),
  of('wrong shape', { '0.npz': npz({ x: array([4, 63]) }) }),
  of('wrong rank', { '0.npz': npz({ x: array([64]) }) }),
  of('wrong type', { '0.npz': npz({ x: array([4, 64], 'int64') }) }),
  { name: 'statistics missing', argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx', '--stats', 's.qstats'], files },
  {
    name: 'statistics malformed',
    argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx', '--stats', 's.qstats'],
    files: { ...files, 's.qstats': 'nothing' },
  },
  { name: 'run: data of the wrong shape', argv: ['run', 'm.onnx', 'd.npz'], files: { ...files, 'd.npz': npz({ x: array([1, 3]) }) } },
  { name: 'eval: one model and no evaluation set', argv: ['eval', 'm.onnx'], files },
];
