/** Activations as the native operators read them: int8 codes with float scales. */
import type { EncodedWeight, QuantizedValue } from '../../simulated.ts';
import { type Codes, sharedCodes } from '../activations.ts';
import type { Lowering, Work } from '../lowering.ts';
import { numbers } from '../make.ts';
import { DOMAIN } from './function.ts';
import type { Geometry } from './pack.ts';
import { declareRows } from './rows.ts';

/** Has the value one step that is known, and codes of a byte? Migrated sites are of this kind: their one step is 1. */
export function isStaticInput(v: QuantizedValue): boolean {
  const { codes, mode } = v.type;
  const same = (x: Float32Array | undefined) => x === undefined || x.every((s) => s === x[0]);
  return (
    mode === 'static' && codes?.kind === 'int' && codes.bits <= 8 && v.scale !== undefined && !v.shape && same(v.scale) && same(v.zero)
  );
}

/** Are its channels the last axis? */
export function lastAxis(v: QuantizedValue): boolean {
  const port = v.site.ports[v.port];
  const axis = port?.axes['channel'] ?? -1;
  return axis < 0 ? axis === -1 : axis === (port?.shape?.length ?? 0) - 1;
}

/**
 * Are its scales found at run time, one a row or one a group that meets the weight's own groups, and its codes less their zero points signed bytes?
 * Codes of 8 bits with a zero point need a bit more.
 */
export function isRowInput(v: QuantizedValue, w: EncodedWeight, g: Geometry): boolean {
  const { codes, grain, mode, law, symmetric, scaleType } = v.type;
  if (mode !== 'dynamic' || law.name !== 'minmax' || codes?.kind !== 'int' || scaleType !== 'model' || !lastAxis(v)) return false;
  if (symmetric ? !codes.signed || codes.bits > 8 : codes.hi - codes.lo > 127) return false;
  if (grain.per === 'token') return true;
  if (grain.per !== 'group' || g.progressive || v.site.ports[v.port]?.shape === undefined) return false;
  const { group } = grain;
  const meets = group % g.group === 0 || g.group % group === 0;
  return group % 4 === 0 && w.reduce % group === 0 && Math.ceil(w.reduce / g.group) * g.group === w.reduce && meets;
}

/** Codes of a site's input with their scales and zero points, shared by all readers. */
export const codesOfInput = (l: Lowering, w: Work, v: QuantizedValue): Codes =>
  v.type.mode === 'static' ? staticInput(l, w, v) : rowInput(l, w, v);

/** Codes by rows or groups, found at run time. */
function rowInput(l: Lowering, w: Work, v: QuantizedValue): Codes {
  const { codes, grain, symmetric } = v.type;
  if (codes?.kind !== 'int') throw new Error(`${v.site.id}.${v.port}: no integer codes`);
  const name = symmetric ? 'QuantizeRows' : 'QuantizeRowsAsymmetric';
  const attrs = symmetric ? { top: { float: codes.hi } } : { lo: { float: codes.lo }, hi: { float: codes.hi } };
  declareRows(l.editor.model, name);
  return sharedCodes(l, w, v, 'rows', (e) => {
    const wide = w.float === 'float32' ? v.value : e.cast(v.value, 'float32');
    const keep = Array<number>((v.site.ports[v.port]?.shape?.length ?? 1) - 1).fill(0);
    const grouped = grain.per === 'group' ? e.op('Reshape', [wide, e.list([...keep, w.weight.reduce / grain.group, grain.group])]) : wide;
    const [q = '', scale = ''] = e.ops(`${DOMAIN}.${name}`, [grouped], ['codes', 'scale'], attrs);
    const flat = grain.per === 'group' ? e.op('Reshape', [q, e.list([...keep, w.weight.reduce])]) : q;
    return { codes: flat, scale, zero: l.editor.shared('qc/int8/zero/0', () => numbers('int8', [1], [0])) };
  });
}

/** Its codes in int8 by QuantizeLinear, one scale and one zero point, shared by all readers; unsigned codes are moved by half their range. */
function staticInput(l: Lowering, w: Work, v: QuantizedValue): Codes {
  const { codes } = v.type;
  if (codes?.kind !== 'int') throw new Error(`${v.site.id}.${v.port}: no integer codes`);
  const shift = codes.signed ? 0 : -128;
  const constant = (name: string, dtype: 'float32' | 'int8', value: number) =>
    l.editor.shared(`qc/${dtype}/${name}/${value}`, () => numbers(dtype, [1], [value]));
  return sharedCodes(l, w, v, 'int8', (e) => {
    const scale = constant('scale', 'float32', v.scale?.[0] ?? 1);
    const zero = constant('zero', 'int8', (v.zero?.[0] ?? 0) + shift);
    const q = e.op('QuantizeLinear', [w.float === 'float32' ? v.value : e.cast(v.value, 'float32'), scale, zero]);
    const [lo, hi] = [codes.lo + shift, codes.hi + shift];
    const full = lo === -128 && hi === 127;
    return { codes: full ? q : e.op('Clip', [q, e.scalar(lo, 'int8'), e.scalar(hi, 'int8')]), scale, zero };
  });
}
