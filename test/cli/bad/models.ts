import { floats, node, small } from '../small-model.ts';
import { type Bad, w4 } from './types.ts';

const of = (name: string, model: string | Uint8Array, more: Record<string, string | Uint8Array> = {}): Bad => ({
  name,
  argv: ['compile', 'm.onnx', 'r.qrecipe', '-o', 'o.onnx'],
  files: { 'm.onnx': model, 'r.qrecipe': w4, ...more },
});
const outside = (location: string, offset = 0, length = 64 * 32 * 4): Uint8Array => small({ external: { location, offset, length } });

export const models: readonly Bad[] = [
  { name: 'model missing', argv: ['compile', 'no.onnx', 'r.qrecipe'], files: { 'r.qrecipe': w4 } },
  { name: 'model is a folder', argv: ['inspect', '.'] },
  of('model empty', ''),
  of('model is text', 'this is not a model\n'),
  of('model cut off', small().subarray(0, 4000)),
  of('external data missing', outside('weights.bin')),
  of('external data cut off', outside('weights.bin'), { 'weights.bin': new Uint8Array(100) }),
  of('external data leaves the folder', outside('../../../../etc/passwd', 0, 16)),
  of('external data with an absolute path', outside('/etc/passwd', 0, 16)),
  of('cyclic graph', small({ nodes: [node('Add', ['x', 'b'], ['a']), node('Add', ['a', 'x'], ['b']), node('MatMul', ['b', 'w'], ['y'])] })),
  of('a value that nobody makes', small({ nodes: [node('MatMul', ['nothing', 'w'], ['y'])] })),
  of('a value made twice', small({ nodes: [node('MatMul', ['x', 'w'], ['y']), node('MatMul', ['x', 'w'], ['y'])] })),
  of('weight shorter than its shape', small({ weight: { ...floats([8, 32]), shape: [64, 32] } })),
  of('NaN in a weight', small({ weight: floats([64, 32], (i) => (i === 77 ? Number.NaN : i)) })),
  of('infinity in a weight', small({ weight: floats([64, 32], (i) => (i === 77 ? Number.POSITIVE_INFINITY : i)) })),
  of('weight of size zero', small({ weight: floats([64, 0]) })),
  of(
    'integer weight',
    small({ weight: { dtype: 'int64', shape: [64, 32], source: { kind: 'bytes', bytes: new Uint8Array(64 * 32 * 8) } } }),
  ),
  of('opset too old', small({ opset: 7 })),
  of('opset too new', small({ opset: 99 })),
  of('no linear at all', small({ nodes: [node('Identity', ['x'], ['y'])] })),
];
