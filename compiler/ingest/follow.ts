/** Quantization in primitive operators: a scale that is reduced from x, x over it, rounded, clipped, scaled back. States flow forward, node by node. */
import type { Node } from '../graph/types.ts';
import { attrInt, attrInts } from '../match/view.ts';
import type { ValueFacts } from './facts.ts';
import type { Reading } from './floats.ts';
import { lookedUp } from './operators.ts';
import { product } from './products.ts';
import type { Of, State } from './states.ts';

const FLOAT32 = 1;
const floats = new Set([1, 10, 16]);
const isFp8 = (to: number): boolean => to === 17 || to === 19;
/** Operators through which a reduced number goes on its way to being a scale or a zero point. */
const arithmetic = new Set([
  'Abs',
  'Div',
  'Max',
  'Min',
  'Sub',
  'Add',
  'Mul',
  'Round',
  'Clip',
  'Floor',
  'Log',
  'Pow',
  'Cast',
  'GreaterOrEqual',
  'Less',
  'Reshape',
  'Where',
  'Unsqueeze',
  'Squeeze',
]);
/** Operators of the rounding to fp4. */
const rounding = new Set(['Abs', 'Less', 'Where', 'Div', 'Round', 'Mul']);

/** The value that a state speaks of, or the value itself. */
const root = (r: Reading, v: string): string => {
  const s = r.state(v);
  return s?.kind === 'cast' && s.to === FLOAT32 ? s.x : v;
};

/** All inputs are constants or numbers of one value. */
function stat(r: Reading, n: Node): Of<'stat'> | undefined {
  let found: Of<'stat'> | undefined;
  let scales: string | undefined;
  for (const v of n.inputs) {
    if (v === '') continue;
    if (r.constants.is(v)) {
      if (n.op === 'Mul' && (r.constants.scales(v)?.count ?? 0) >= 1) scales = v;
      continue;
    }
    const s = r.state(v);
    if (s?.kind !== 'stat' || (found && found.x !== s.x)) return undefined;
    found = found
      ? {
          ...found,
          reduced: found.reduced || s.reduced,
          symmetric: found.symmetric && s.symmetric,
          power: found.power || s.power || false,
          fp8: found.fp8 || s.fp8 || false,
          axes: found.axes ?? s.axes,
        }
      : s;
  }
  if (!found) return undefined;
  // A power of two of the rounded logarithm is an MX scale.
  const power = found.power === true || n.op === 'Pow';
  return { ...found, ...(power ? { power } : {}), ...(scales === undefined ? {} : { scales }) };
}

/** x over a scale. */
function divided(r: Reading, n: Node): State | undefined {
  const [a = '', b = ''] = n.inputs;
  const s = r.state(b);
  const x = root(r, a);
  if (s?.kind === 'stat' && s.reduced && s.x === x) {
    const rows = r.state(x);
    const group = rows?.kind === 'rows' ? rows.group : undefined;
    const per: ValueFacts['per'] = group !== undefined ? 'group' : s.axes === undefined ? 'tensor' : 'rows';
    const format = s.power ? 'mxfp4' : s.fp8 ? 'nvfp4' : 'int';
    const facts: ValueFacts = { format, bits: 0, symmetric: s.symmetric, mode: 'dynamic', per, ...(group === undefined ? {} : { group }) };
    return { kind: 'steps', x, facts, rounded: false };
  }
  const scales = r.constants.is(b) && !r.constants.is(a) ? r.constants.scales(b) : undefined;
  if (!scales || r.state(a)?.kind === 'stat') return undefined;
  const facts: ValueFacts = { format: 'int', bits: 0, symmetric: true, mode: 'static', per: scales.count > 1 ? 'channel' : 'tensor' };
  return { kind: 'steps', x, facts, rounded: false };
}

async function cast(r: Reading, n: Node): Promise<State | undefined> {
  const v = n.inputs[0] ?? '';
  const s = r.state(v);
  const to = attrInt(n, 'to', 0);
  switch (s?.kind) {
    case 'steps': {
      if (isFp8(to))
        return { ...s, rounded: true, facts: { ...s.facts, format: to === 19 ? 'fp8_e5m2' : 'fp8', bits: 8, symmetric: true } };
      return s.rounded && !floats.has(to) ? { kind: 'codes', x: s.x, facts: s.facts } : s;
    }
    case 'stat':
      return isFp8(to) ? { ...s, fp8: true } : s;
    case 'product':
    case 'lookup':
    case 'beside':
    case 'fake':
      return s;
    case 'cast': {
      // Float to a narrower type and back is a rounding of its own.
      const narrow = s.to === 10 ? 'float16' : s.to === 16 ? 'bfloat16' : undefined;
      if (narrow === undefined || to !== FLOAT32) return undefined;
      return { kind: 'fake', x: s.x, facts: { format: narrow, bits: 16, symmetric: true, mode: 'static', per: 'tensor' } };
    }
    default: {
      if (!floats.has(to) || r.constants.is(v)) return undefined;
      return { kind: 'cast', x: v, to };
    }
  }
}

/** Numbers that are multiplied: the last step back from codes, or scales of a product. */
async function multiplied(r: Reading, n: Node): Promise<State | undefined> {
  const [a = '', b = ''] = n.inputs;
  for (const [v, w] of [
    [a, b],
    [b, a],
  ] as const) {
    const s = r.state(v);
    if (s?.kind === 'steps' && s.rounded) {
      const scale = r.state(w);
      if (scale?.kind === 'stat' ? scale.x === s.x : r.constants.is(w)) return { kind: 'fake', x: s.x, facts: s.facts };
    }
    if (s?.kind === 'lookup' && s.scales === undefined) {
      const scale = r.state(w);
      if (scale?.kind === 'beside' && scale.ids === s.ids) return { ...s, scales: scale.table };
      if (r.constants.is(w)) return { ...s, scales: w };
    }
    if (s?.kind === 'product') {
      const scale = r.state(w);
      const both = scale?.kind === 'stat' ? scale.scales : undefined;
      const constant = r.constants.is(w) ? r.constants.scales(w) : undefined;
      // A static activation has one constant scale, and the weight's come after it.
      const first = constant?.count === 1 && s.a.facts.mode === 'static' && !s.scaledA;
      const next: Of<'product'> =
        scale?.kind === 'stat' || first
          ? { ...s, scaledA: true, ...(both === undefined ? {} : { scales: both }) }
          : constant
            ? { ...s, scales: w }
            : s;
      const second = r.state(s.b)?.kind === 'codes';
      if (!(next.scaledA && (next.scales !== undefined || second))) return next === s ? undefined : next;
      // The node was copied already; the product takes its place.
      r.nodes.pop();
      if (await product(r, n, next, next.scales)) return undefined;
      await r.copy(n);
      return undefined;
    }
  }
  return stat(r, n);
}

/** What is known of the node's first output. */
export async function follow(r: Reading, n: Node): Promise<State | undefined> {
  if (n.domain !== '' && n.domain !== 'ai.onnx') return undefined;
  const v = n.inputs[0] ?? '';
  const s = r.state(v);
  if (s?.kind === 'steps' && !s.rounded && rounding.has(n.op) && n.op !== 'Round') return { ...s, mini: true };
  switch (n.op) {
    case 'Abs':
      return s?.kind === 'steps'
        ? s
        : r.constants.is(v)
          ? undefined
          : (stat(r, n) ?? { kind: 'stat', x: root(r, v), reduced: false, axes: undefined, symmetric: true });
    case 'ReduceMax':
    case 'ReduceMin': {
      const axes = attrInts(n, 'axes') ?? [...((n.inputs[1] ? await r.constants.numbers(n.inputs[1]) : undefined) ?? [])];
      const over = axes.length ? axes : undefined;
      if (s?.kind === 'stat') return { ...s, reduced: true, axes: s.reduced ? s.axes : over };
      return r.constants.is(v) ? undefined : { kind: 'stat', x: root(r, v), reduced: true, axes: over, symmetric: false };
    }
    case 'Div':
      return divided(r, n) ?? mini(r, n) ?? stat(r, n);
    case 'Round':
      return s?.kind === 'steps' ? { ...s, rounded: s.mini !== true } : stat(r, n);
    case 'Add':
    case 'Sub': {
      const b = n.inputs[1] ?? '';
      const zero = r.state(b);
      if (s?.kind === 'steps' && s.rounded && (r.constants.is(b) || zero?.kind === 'stat')) {
        const moved = zero?.kind === 'stat' || (r.constants.is(b) && s.facts.bits === 0 && s.facts.mode === 'static');
        return moved ? { ...s, facts: { ...s.facts, symmetric: false } } : s;
      }
      if (s?.kind === 'lookup' && n.op === 'Sub') return { ...s, zero: zero?.kind === 'beside' ? zero.table : b };
      return stat(r, n);
    }
    case 'Clip': {
      if (s?.kind !== 'steps') return stat(r, n);
      const [lo, hi] = [await r.constants.uniform(n.inputs[1] ?? ''), await r.constants.uniform(n.inputs[2] ?? '')];
      if (lo === undefined || hi === undefined) return undefined;
      if (s.mini) return { ...s, rounded: true, facts: { ...s.facts, bits: 4, symmetric: true } };
      return s.rounded ? { ...s, facts: { ...s.facts, bits: Math.ceil(Math.log2(hi - lo + 1)) } } : undefined;
    }
    case 'Mul':
      return (await multiplied(r, n)) ?? mini(r, n);
    case 'Cast':
      return cast(r, n);
    case 'Gather': {
      const ids = n.inputs[1] ?? '';
      if (!r.constants.is(v) || r.constants.is(ids)) return undefined;
      const w = await r.constants.weight(v);
      const t = r.constants.tensor(v);
      if (!w || w.done || !t || t.shape.length === 0) return t?.dtype.startsWith('float') ? { kind: 'beside', table: v, ids } : undefined;
      // Codes are a matrix; zero points and scales lie beside them.
      return t.shape.length === 2 && w.format === 'int' && (t.shape[1] ?? 0) >= 16
        ? { kind: 'lookup', table: v, ids, nibbles: false }
        : { kind: 'beside', table: v, ids };
    }
    case 'BitShift':
      return s?.kind === 'lookup' ? { ...s, nibbles: true } : undefined;
    case 'Concat':
    case 'Unsqueeze':
      return s?.kind === 'lookup' || s?.kind === 'beside' ? s : stat(r, n);
    case 'Reshape': {
      if (s?.kind === 'lookup') {
        if (s.scales === undefined) return s;
        r.nodes.pop();
        if (await lookedUp(r, n, s)) return undefined;
        await r.copy(n);
        return undefined;
      }
      if (s?.kind === 'beside') return s;
      if (s?.kind === 'fake') {
        const rows = r.state(s.x);
        return rows?.kind === 'rows' ? { kind: 'fake', x: rows.x, facts: { ...s.facts, per: 'group', group: rows.group } } : undefined;
      }
      const shape = await r.constants.numbers(n.inputs[1] ?? '', 8);
      if (shape?.length === 2 && shape[0] === -1 && shape[1]! > 1 && !r.constants.is(v))
        return { kind: 'rows', x: root(r, v), group: shape[1]! };
      return stat(r, n);
    }
    default:
      return arithmetic.has(n.op) || rounding.has(n.op) ? (mini(r, n) ?? stat(r, n)) : undefined;
  }
}

/** A step of the rounding to fp4: all inputs are constants or steps of one value. */
function mini(r: Reading, n: Node): State | undefined {
  if (!rounding.has(n.op)) return undefined;
  let found: Of<'steps'> | undefined;
  for (const v of n.inputs) {
    if (r.constants.is(v)) continue;
    const s = r.state(v);
    if (s?.kind !== 'steps' || (found && found.x !== s.x)) return undefined;
    found = s;
  }
  return found && !found.rounded ? { ...found, mini: true } : undefined;
}
