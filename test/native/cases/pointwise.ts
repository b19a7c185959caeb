import { Body } from '../../../compiler/lower/native/function.ts';
import hadamard, { hadamardQuantize } from '../../../compiler/lower/native/fused/hadamard.ts';
import { levelsMatMul } from '../../../compiler/lower/native/fused/levelsmatmul.ts';
import siluMul from '../../../compiler/lower/native/fused/silumul.ts';
import { rowsBody } from '../../../compiler/lower/native/rows.ts';
import { bytes, type Case, type Family, filled, floats, one, positive, type Size } from './case.ts';
import { codesAttrs } from './norms.ts';

/** Sylvester's matrix. */
const sylvester = (n: number) => filled('float32', [n, n], (i) => (bitCount(Math.floor(i / n) & (i % n)) % 2 ? -1 : 1) / Math.sqrt(n));
const bitCount = (x: number): number => (x === 0 ? 0 : (x & 1) + bitCount(x >> 1));

function turned(name: string, size: Size): Case | undefined {
  const fusion = [hadamard, ...hadamardQuantize].find((f) => f.name === name);
  if (!fusion) return undefined;
  const [rows, a, b] = size === 'small' ? [3, 4, 8] : [256, 32, 64];
  const emits = name.endsWith('Static')
    ? 'steps'
    : name.endsWith('Asymmetric')
      ? 'asymmetric'
      : name.endsWith('Quantize')
        ? 'rows'
        : 'floats';
  return {
    inputs: {
      x: floats([rows, a * b], 1),
      left: sylvester(a),
      right: sylvester(b),
      ...(emits === 'steps' ? { step: one(0.05) } : {}),
    },
    attrs: { order: 1, ...codesAttrs[emits] },
    outputs: { floats: ['y'], rows: ['codes', 'scale'], asymmetric: ['codes', 'scale'], steps: ['codes'] }[emits],
    body: (opset) => fusion.body(name, opset),
  };
}

function levels(name: string, size: Size): Case | undefined {
  const fusion = levelsMatMul.find((f) => f.name === name);
  if (!fusion) return undefined;
  const [heads, t, s, d] = size === 'small' ? [2, 3, 7, 8] : [6, 197, 197, 64];
  const last = name.endsWith('4') ? 15 : 63;
  return {
    inputs: {
      codes: filled('int32', [heads, t, s], (i) => (i * 7) % (last + 1)),
      v: bytes('uint8', [heads, s, d]),
      scale: one(0.02),
      zero: bytes('uint8', [1], 1, 128),
      delta: positive([heads, t, 1]),
    },
    attrs: {},
    outputs: ['y'],
    body: (opset) => fusion.body(name, opset),
  };
}

/** Operators on floats: 256 rows of 2048 (SiluMul: 5632). */
const pointwise: Family = (name, size) => {
  const [rows, n] = size === 'small' ? [5, 48] : [256, 2048];
  switch (name) {
    case 'QuantizeRows':
    case 'QuantizeRowsAsymmetric':
      return {
        inputs: { x: floats([rows, n], 1) },
        attrs: codesAttrs[name === 'QuantizeRows' ? 'rows' : 'asymmetric'],
        outputs: ['codes', 'scale'],
        body: (opset) => rowsBody(name, opset),
      };
    case 'SiluMul': {
      const wide = size === 'small' ? n : 5632;
      return {
        inputs: { gate: floats([rows, wide], 1), up: floats([rows, wide], 2) },
        attrs: {},
        outputs: ['y'],
        body: (opset) => siluMul.body(name, opset),
      };
    }
    case 'SiLUScaled':
      return {
        inputs: { x: floats([rows, n], 1), scale: positive([n], 1) },
        attrs: {},
        outputs: ['y'],
        body(opset) {
          const b = new Body(opset);
          b.op('Mul', ['x', b.op('Sigmoid', [b.op('Mul', ['x', 'scale'])])], {}, 'y');
          return b.function(name, ['x', 'scale'], ['y'], [], 'y = x · σ(s·x)');
        },
      };
    default:
      return turned(name, size) ?? levels(name, size);
  }
};
export default pointwise;
