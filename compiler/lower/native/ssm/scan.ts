/** A recurrence that is a Scan, with its softplus, skip connection and gate, as one operator. */
import type { Node } from '../../../graph/types.ts';
import { attrInt, attrInts, createView, type View } from '../../../match/view.ts';
import type { QuantizedValue } from '../../../simulated.ts';
import type { Site } from '../../../sites.ts';
import type { Editor } from '../../editor.ts';
import { Emit } from '../../emit.ts';
import { float32s } from '../../make.ts';
import { DOMAIN } from '../function.ts';
import { scaledSilu } from '../fused/siluscaled.ts';
import { made, only, permuted } from '../walk.ts';
import { ONE, withoutSteps } from './declare.ts';
import { type Recurrence, readRecurrence } from './recurrence.ts';
import { isByte, siluOf } from './step.ts';
import { portSteps, stateSteps, transposed } from './tables.ts';

/** Beyond it ln(1 + eˣ) is x in float32. */
const LINEAR = 16;

interface Parts {
  readonly scan: Node;
  readonly r: Recurrence;
  /** Values as [batch, time, …] by port, where a port's rounding would stand. */
  readonly ports: Readonly<Record<'x' | 'dt' | 'B' | 'C', string>>;
  readonly z?: string;
  /** s of the gate z·σ(s·z), where it is not 1. */
  readonly gateScale?: string;
  /** What Δ is softplus of. */
  readonly softplus?: string;
  readonly skip?: string;
  readonly state: string;
  /** Values that are no more: only the Scan's. */
  readonly inside: readonly string[];
  readonly y: string;
  readonly after: string;
  /** [heads, width] or [channels], and states. */
  readonly dims: readonly number[];
  readonly groups: number;
}

const sizes = (v: View, value: string): readonly number[] | undefined => {
  const s = v.shape(value)?.slice(2);
  return s?.every((d) => typeof d === 'number') ? (s as number[]) : undefined;
};

/** Before the repeats that give each head its group's B or C. */
function unrepeated(v: View, value: string): string {
  const expand = made(v, made(v, value, 'Reshape')?.inputs[0], 'Expand');
  const unsqueeze = expand && made(v, expand.inputs[0], 'Unsqueeze');
  const shape = unsqueeze && v.shape(unsqueeze.outputs[0]!);
  return unsqueeze && shape?.length === 5 && shape[3] === 1 ? unsqueeze.inputs[0]! : value;
}

/** x of ln(1 + eˣ), with or without the branch that is x itself where x is large. */
function softplusOf(v: View, value: string): string | undefined {
  const plain = made(v, value, 'Softplus')?.inputs[0];
  if (plain !== undefined) return plain;
  const where = made(v, value, 'Where');
  const x = where?.inputs[1];
  const above = made(v, where?.inputs[0], 'Greater');
  const fits = x !== undefined && above?.inputs[0] === x && (v.scalar(above.inputs[1]!) ?? 0) >= LINEAR;
  return fits && made(v, where?.inputs[2], 'Softplus')?.inputs[0] === x ? x : undefined;
}

function parts(v: View, scan: Node): Parts | undefined {
  const attr = scan.attrs.get('body');
  if (scan.op !== 'Scan' || attr?.type !== 'graph' || scan.inputs.length !== 5 || scan.outputs.length !== 2) return undefined;
  const straight = ['scan_input_directions', 'scan_output_directions', 'scan_input_axes', 'scan_output_axes'];
  if (attrInt(scan, 'num_scan_inputs', 0) !== 4 || straight.some((a) => attrInts(scan, a)?.some((d) => d !== 0))) return undefined;
  const r = readRecurrence(createView(v.model, attr.value, '', v), attr.value);
  if (r?.inputs.state !== 0 || r.next !== 0) return undefined;
  const [after, stacked] = scan.outputs as [string, string];
  const dims = v.shape(after)?.slice(1);
  if (!dims?.every((d) => typeof d === 'number') || dims.length !== (r.perHead ? 3 : 2) || v.dtype(after) !== 'float32') return undefined;
  const perm = (rank: number) => [1, 0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)];
  const turned = (port: 'x' | 'dt' | 'B' | 'C') => {
    const value = scan.inputs[r.inputs[port]]!;
    return permuted(v, value, perm(v.shape(value)?.length ?? 3));
  };
  const [x, dt, b, c] = [turned('x'), turned('dt'), turned('B'), turned('C')];
  if (x === undefined || dt === undefined || b === undefined || c === undefined) return undefined;
  const [B, C] = r.perHead ? [unrepeated(v, b), unrepeated(v, c)] : [b, c];
  const groups = r.perHead ? sizes(v, B)?.[0] : 1;
  if (groups === undefined || sizes(v, C)?.join() !== sizes(v, B)?.join() || !sizes(v, x) || !sizes(v, dt)) return undefined;
  const back = only(v, stacked);
  const y0 = back && permuted(v, back.outputs[0], perm(r.perHead ? 4 : 3)) === stacked ? back.outputs[0]! : undefined;
  if (y0 === undefined) return undefined;

  const inside = [stacked];
  let y = y0;
  const next = only(v, y);
  const skipped =
    next?.op === 'Add'
      ? made(
          v,
          next.inputs.find((i) => i !== y),
          'Mul',
        )
      : undefined;
  const skip = skipped?.inputs.find((i) => i !== x);
  let D: string | undefined;
  if (next && skip !== undefined && skipped?.inputs.includes(x)) {
    const shape = v.constant(skip)?.tensor.shape;
    const want = r.perHead ? `${dims[0]},1` : `${dims[0]}`;
    if (shape?.join() === want && v.constant(skip)?.tensor.dtype === 'float32') {
      D = skip;
      inside.push(y);
      y = next.outputs[0]!;
    }
  }
  const flat = only(v, y);
  if (r.perHead && flat?.op === 'Reshape' && v.shape(flat.outputs[0]!)?.length === 3) {
    inside.push(y);
    y = flat.outputs[0]!;
  }
  const gate = only(v, y);
  const other = gate?.op === 'Mul' ? gate.inputs.find((i) => i !== y) : undefined;
  const scaled = other === undefined ? undefined : scaledSilu(v, other);
  const z = other === undefined || v.shape(y)?.length !== 3 ? undefined : (siluOf(v, other) ?? scaled?.x);
  if (gate && z !== undefined && v.shape(z)?.join() === v.shape(y)?.join()) {
    inside.push(y);
    y = gate.outputs[0]!;
  }
  const inner = softplusOf(v, dt);
  return {
    scan,
    r,
    ports: { x, dt, B, C },
    ...(z === undefined || gate?.outputs[0] !== y ? {} : { z, ...(scaled ? { gateScale: scaled.scale } : {}) }),
    ...(inner === undefined ? {} : { softplus: inner }),
    ...(D === undefined ? {} : { skip: D }),
    state: scan.inputs[0]!,
    inside,
    y,
    after,
    dims: dims as number[],
    groups,
  };
}

/** What a recurrence became. */
export interface FusedScan {
  readonly op: string;
  readonly taken: readonly QuantizedValue[];
  readonly initializers: readonly string[];
}

/**
 * Replaces the Scan of a site and the rounding of its ports by one operator; undefined where it stays as it is. `bounded`: some codes of the model are not
 * around zero, so steps come with the lowest codes.
 */
export function fuseScan(e: Editor, site: Site, values: readonly QuantizedValue[], bounded: boolean): FusedScan | undefined {
  const scan = site.nodes.map((n) => e.copyOf(n)).find((n) => n?.op === 'Scan');
  if (!scan) return undefined;
  const v = e.view(scan);
  const p = parts(v, scan);
  if (!p) return undefined;
  const own = values.filter((q) => q.site.id === site.id && q.port !== 'output');
  const where: Record<string, string | undefined> = { ...p.ports, z: p.z, state: p.after };
  // Rounding that stands elsewhere, of another kind, or on what is no more: the Scan stays.
  if (own.some((q) => where[q.port] !== q.value || !isByte(q))) return undefined;
  const gone = new Set(p.inside);
  if (values.some((q) => !own.includes(q) && gone.has(q.value))) return undefined;
  const outer = values.filter((q) => !own.includes(q) && Object.values(where).includes(q.value) && q.site.role === 'activation');
  if (outer.length > 0) return undefined;

  const em = new Emit(e, `${p.y}/scan`);
  const { dims, groups, r } = p;
  const channels = dims.slice(0, -1).reduce((a, b) => a * b, 1);
  const states = dims.at(-1)!;
  const steps = r.perHead ? dims[0]! : channels;
  const of = (port: string) => own.find((q) => q.port === port);
  const scale = (port: 'x' | 'dt' | 'B' | 'C' | 'z', at: readonly number[]): string => {
    const q = of(port);
    return q ? em.constant(`${port}_scale`, portSteps(q, at, bounded)) : withoutSteps(e, 1, bounded);
  };
  const state = of('state');
  const A = v.constant(r.A)!;
  const a = r.perHead
    ? em.op('Reshape', [r.A, em.list([1, -1])])
    : em.constant('A', transposed(A.tensor, channels, states, `${A.name}|scan`));
  const flatten = (value: string, width: number): string => {
    if (v.shape(value)?.length === 3) return value;
    const before = made(v, value, 'Reshape')?.inputs[0];
    const known = before === undefined ? undefined : v.shape(before);
    return before !== undefined && known?.length === 3 && known[2] === width ? before : em.op('Reshape', [value, em.list([0, 0, width])]);
  };
  const skip =
    p.skip === undefined
      ? e.shared(`qc/zeros/${steps}`, () => float32s(new Float32Array(steps), [steps]))
      : r.perHead
        ? em.op('Reshape', [p.skip, em.list([-1])])
        : p.skip;
  const one = e.shared(ONE, () => float32s([1], [1]));
  const inputs = [
    p.state,
    flatten(p.ports.x, channels),
    p.softplus ?? p.ports.dt,
    flatten(p.ports.B, groups * states),
    flatten(p.ports.C, groups * states),
    p.z ?? one,
    a,
    skip,
    state ? em.constant('state_scale', stateSteps(state, dims, bounded)) : withoutSteps(e, 2, bounded),
    scale('x', sizes(v, p.ports.x)!),
    scale('dt', sizes(v, p.ports.dt)!),
    scale('B', sizes(v, p.ports.B)!),
    scale('C', sizes(v, p.ports.C)!),
    p.z === undefined ? withoutSteps(e, 1, bounded) : scale('z', sizes(v, p.z)!),
    p.gateScale ?? one,
  ];
  const name = 'SelectiveScan';
  const shaped = r.perHead && v.shape(p.y)?.length === 4;
  const y = em.op(
    `${DOMAIN}.${name}`,
    inputs,
    { heads: [r.perHead ? dims[0]! : 1, groups], softplus: p.softplus === undefined ? 0 : 1 },
    shaped ? undefined : p.y,
  );
  const fused = em.nodes.at(-1)!;
  fused.outputs.push(p.after);
  if (shaped) em.op('Reshape', [y, em.list([0, 0, dims[0]!, dims[1]!])], {}, p.y);
  // The operator takes the place of the Scan; what yielded y goes.
  e.replace(p.scan, em.nodes);
  const last = v.producer(p.y);
  if (last) e.replace(last, []);
  return { op: name, taken: own, initializers: em.initializers };
}
