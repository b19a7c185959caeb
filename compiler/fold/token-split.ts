/** One token that is the same in every input leaves the quantized product: its row of the output is a constant in float. */
import { toFloat64 } from '../graph/numeric.ts';
import { float32s, int64s } from '../lower/make.ts';
import type { Site } from '../sites.ts';
import type { Job, Need } from './job.ts';
import { floatRows } from './output-error.ts';
import { refuse } from './refuse.ts';
import type { Insertion } from './rewriter.ts';

/** How far a constant may wander over calibration data, relative to its largest channel. */
const SAME = 1e-6;

const observer = (token: number) => ({ name: 'token', args: { token } });
export const tokenNeeds = (sites: readonly Site[], token: number): Need[] =>
  sites.flatMap((s) => (s.ports['input'] ? [{ value: s.ports['input'].value, observer: observer(token) }] : []));

/** Splits the token off in front of every linear. Errors: Refusal not-constant (it depends on the data), layout-lost, no-producer. */
export async function splitToken(job: Job, sites: readonly Site[], token: number): Promise<void> {
  const linears = [...new Set(sites)];
  const odd = linears.find((s) => s.role !== 'linear');
  if (odd) refuse('no-producer', `${odd.path}: a ${odd.role} has no rows of tokens`);
  const seen = await job.observe(tokenNeeds(linears, token));
  const byValue = new Map<string, Site[]>();
  for (const s of linears) byValue.set(s.ports['input']!.value, [...(byValue.get(s.ports['input']!.value) ?? []), s]);
  for (const [value, readers] of byValue) {
    const names = readers.map((s) => s.path).join(', ');
    const shape = job.view.shape(value);
    if (shape?.length !== 3) return refuse('layout-lost', `what ${names} reads is no [batch, token, channel]`);
    const { min, max } = seen.get(value, observer(token)) as { min: Float64Array; max: Float64Array };
    const most = max.reduce((m, x, c) => Math.max(m, Math.abs(x), Math.abs(min[c]!)), 0);
    if (!Number.isFinite(most)) return refuse('not-constant', `token ${token} of what ${names} reads was never seen`);
    if (max.some((x, c) => x - min[c]! > SAME * most))
      return refuse('not-constant', `token ${token} of what ${names} reads depends on the data`);
    const x = max.map((v, c) => (v + min[c]!) / 2);
    const tokens = shape[1];
    const fewer = typeof tokens === 'number' ? tokens - 1 : `${tokens}-1`;
    job.rewriter.insert(value, readers, 'tokens', (i) => without(i, value, token), [shape[0]!, fewer, shape[2]!]);
    for (const s of readers) {
      const row = await rowOf(job, s, x);
      job.rewriter.behind(s, 'tokens', (i, own) => joined(i, own, float32s(row, [1, 1, row.length]), token), [
        shape[0]!,
        fewer,
        row.length,
      ]);
    }
    job.applied({
      name: `"${value}" -> ${names}`,
      detail: `token ${token} is the same in all data (largest value ${most.toPrecision(3)}): its outputs are constants in float`,
      touched: [],
      same: readers.map((s) => s.ports['output']!.value),
    });
  }
}

/** W x + b. */
async function rowOf(job: Job, site: Site, x: Float64Array): Promise<Float64Array> {
  const { rows, out, reduce } = await floatRows(job, site);
  const t = site.bias === undefined ? undefined : job.rewriter.tensor(site.bias);
  const bias = t ? toFloat64(t.dtype, await job.ctx.bytes(t)) : undefined;
  return Float64Array.from({ length: out }, (_, o) => {
    let sum = bias?.[bias.length === 1 ? 0 : o] ?? 0;
    for (let k = 0; k < reduce; k++) sum += rows[o * reduce + k]! * x[k]!;
    return sum;
  });
}

const END = 2 ** 31 - 1;
const part = (i: Insertion, x: string, from: number, to: number): string => {
  const [start, end, axis] = [from, to, 1].map((n, k) => i.constant(['from', 'to', 'axis'][k]!, int64s([n])));
  return i.op('Slice', [x, start!, end!, axis!]);
};

/** All tokens but one. */
function without(i: Insertion, x: string, token: number): string {
  const behind = part(i, x, token + 1, END);
  return token === 0 ? behind : i.op('Concat', [part(i, x, 0, token), behind], { axis: 1 });
}

/** The constant row in its place, for every batch. */
function joined(i: Insertion, own: string, row: ReturnType<typeof float32s>, token: number): string {
  const batch = i.op('Slice', [i.op('Shape', [own]), i.constant('from', int64s([0])), i.constant('to', int64s([1]))]);
  const shape = i.op('Concat', [batch, i.constant('ones', int64s([1, 1]))], { axis: 0 });
  const fixed = i.op('Expand', [i.constant('token', row), shape]);
  if (token === 0) return i.op('Concat', [fixed, own], { axis: 1 });
  return i.op('Concat', [part(i, own, 0, token), fixed, part(i, own, token, END)], { axis: 1 });
}
