/** Runs the transforms of a plan: each observes, folds and reports; the result is another float model with the same sites. */
import { fail } from '../../grammar/diagnostics.ts';
import { type Need, refText, Statistics } from '../calibrate/index.ts';
import { floats } from '../calibrate/values.ts';
import type { Transform } from '../define.ts';
import type { Applied, Job } from '../fold/job.ts';
import { Refusal, refuse } from '../fold/refuse.ts';
import { Rewriter } from '../fold/rewriter.ts';
import { cut } from '../graph/cut.ts';
import type { Value } from '../host.ts';
import { createView } from '../match/view.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { Decider, PlannedTransform } from '../plan/types.ts';
import { transforms } from '../transforms/index.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import { type Calibrated, statisticsFor } from './statistics.ts';
import type { CompileOptions } from './types.ts';

export type AppliedBy = Applied & { readonly kind: string; readonly by: Decider };

/** A plan with the model that it is about: the one that was opened, or one that transforms rewrote. */
export interface Prepared {
  readonly source: Source;
  readonly plan: Planned;
  readonly applied: readonly AppliedBy[];
  readonly segments: readonly Segment[];
}

/** Transforms in a row that are proved together; those that change what is computed stand alone and are measured. */
export interface Segment {
  readonly before: Source;
  readonly after: Source;
  readonly applied: readonly AppliedBy[];
  readonly approximate: boolean;
}

export interface Rewriting {
  /** The model and plan after the plan's transforms; the same objects where it has none. Remembered by what the transforms are. */
  prepare(plan: Planned): Promise<Prepared>;
  /** What was observed of the float model for transforms, to be saved. */
  observed(): Calibrated | undefined;
}

/** `planOn`: plans the recipe on a model under a binding. */
export function rewriting(
  source: Source,
  planOn: (s: Source, binding: Planned['binding']) => Planned,
  options: CompileOptions,
  run: Run,
): Rewriting {
  let base: Calibrated | undefined;
  const done = new Map<string, Promise<Omit<Prepared, 'plan'>>>();

  /** Statistics of the float model: what was seen once is not read again. */
  async function ofFloat(needs: readonly Need[], plan: Planned): Promise<Calibrated> {
    const fresh = needs.filter((n) => !base?.statistics.has(n.value, n.observer));
    if (base && fresh.length === 0) return base;
    const found = (await statisticsFor(fresh, plan, source, options, run.onEvent)) ?? unread();
    base = base
      ? { ...found, statistics: new Statistics(found.statistics.from, [...base.statistics.entries, ...found.statistics.entries]) }
      : found;
    return base;
  }

  async function rewrite(plan: Planned): Promise<Omit<Prepared, 'plan'>> {
    let now = source;
    const segments: Segment[] = [];
    const applied: AppliedBy[] = [];
    const made = new Set(source.model.graph.nodes.flatMap((n) => n.outputs));
    const foreseen = plan.transforms.flatMap((t) => definition(t).needs?.(t.edges, t.args as never) ?? []).filter((n) => made.has(n.value));
    if (foreseen.length) await ofFloat(foreseen, plan);
    for (const [i, t] of plan.transforms.entries()) {
      const id = `${i}:${keyOf(t)}`;
      const here = now;
      const rewriter = new Rewriter(here.model, here.sites, id);
      const byId = new Map(here.sites.sites.map((s) => [s.id, s]));
      const touched = new Set(applied.flatMap((a) => a.touched));
      const job: Job = {
        view: createView(here.model),
        sites: here.sites.sites,
        edges: t.edges.map((e) => ({ from: byId.get(e.from.id)!, to: byId.get(e.to.id)!, tied: e.tied })),
        picked: t.sites.map((s) => byId.get(s.id)!),
        rewriter,
        ctx: here.reader,
        async observe(needs) {
          const old = needs.filter((n) => made.has(n.value) && !touched.has(n.value));
          const changed = needs.filter((n) => !old.includes(n));
          const before = old.length
            ? await ofFloat(
                needs.filter((n) => old.includes(n)),
                { ...plan },
              )
            : undefined;
          const { stats: _, ...rest } = options;
          const after = changed.length ? await statisticsFor(changed, plan, here, rest, run.onEvent) : undefined;
          const isNew = new Set(changed.map((n) => `${n.value}\n${refText(n.observer)}`));
          return {
            get: (value, observer) => (isNew.has(`${value}\n${refText(observer)}`) ? after : before)!.statistics.get(value, observer),
          };
        },
        run: (values, feeds) => runOn(here, values, feeds, options),
        typeOf: (site, port) => plan.slots.find((s) => s.site.id === site.id && s.port === port && s.what === 'type')?.type,
        restart: t.restart ?? 0,
        applied: (a) => applied.push({ ...a, kind: t.kind, by: t.by }),
      };
      const first = applied.length;
      await work(t, job);
      const { model, sites } = rewriter.finish();
      now = { ...now, model, sites, fingerprint: async () => `${await source.fingerprint()}+${id}`, ...adapting(applied) };
      for (const [, of, site] of rewriter.copies)
        applied[first] = { ...applied[first]!, detail: `${applied[first]!.detail}; ${site} has its own copy of ${of}` };
      const [mine, last] = [applied.slice(first), segments.at(-1)];
      const approximate = mine.some((a) => a.approximate);
      if (last && !last.approximate && !approximate)
        segments[segments.length - 1] = { ...last, after: now, applied: [...last.applied, ...mine] };
      else segments.push({ before: here, after: now, applied: mine, approximate });
    }
    const bare = withoutBias(plan);
    if (bare.length) {
      const rewriter = new Rewriter(now.model, now.sites, 'biases');
      const byId = new Map(now.sites.sites.map((s) => [s.id, s]));
      const before = now;
      const mine = bare.flatMap(({ site, by }): AppliedBy[] => {
        const at = byId.get(site.id)!;
        if (at.bias !== undefined) return [];
        rewriter.bias(at);
        return [
          { kind: 'bias', by, name: at.path, detail: 'a bias of zeros, to be corrected', touched: [], same: [at.ports['output']!.value] },
        ];
      });
      now = { ...now, ...rewriter.finish(), fingerprint: async () => `${await source.fingerprint()}+${plan.transforms.length}:biases` };
      applied.push(...mine);
      segments.push({ before, after: now, applied: mine, approximate: false });
    }
    return { source: now, applied, segments };
  }

  return {
    observed: () => base,
    async prepare(plan) {
      const bare = withoutBias(plan);
      if (plan.transforms.length + bare.length === 0) return { source, plan, applied: [], segments: [] };
      const key = [...plan.transforms.map(keyOf), ...bare.map((b) => `bias ${b.site.id}`)].join('\n');
      const known = done.get(key) ?? rewrite(plan);
      done.set(key, known);
      const rewritten = await known;
      return { ...rewritten, plan: planOn(rewritten.source, plan.binding) };
    },
  };
}

/** Linears whose bias a solver will correct, and that have none. */
const withoutBias = (plan: Planned) =>
  plan.solves.filter((s) => s.decides === 'correction' && s.site.role === 'linear' && s.site.bias === undefined);

/** Some values of a model, from some of its inputs. */
async function runOn(at: Source, values: readonly string[], feeds: Readonly<Record<string, Value>>, { host }: CompileOptions) {
  const session = await host.session(cut(at.model, new Map(), values), at.dir);
  try {
    const other = session.inputs.find((n) => !feeds[n]);
    if (other !== undefined) refuse('not-constant', `${values[0]} needs the input "${other}" too`);
    return await session.run(Object.fromEntries(session.inputs.map((n) => [n, feeds[n]!])));
  } finally {
    await session.close();
  }
}

const unread = (): never => fail('calibration-missing', 'a transform needs calibration data');

/** What a transform is: its kind, arguments and places. */
const keyOf = (t: PlannedTransform): string =>
  `${t.kind}${t.restart ?? ''}${JSON.stringify(t.args)}${t.edges.map((e) => `${e.from.id}>${e.to.id}`).join()}${t.sites.map((s) => s.id).join()}`;

const definition = (t: PlannedTransform): Transform => (transforms as unknown as readonly Transform[]).find((d) => d.name === t.kind)!;

/** Runs one transform; what the fold engine refuses becomes an error at the statement. */
async function work(t: PlannedTransform, job: Job): Promise<void> {
  try {
    await definition(t).apply(job, t.args as never);
  } catch (e) {
    if (!(e instanceof Refusal)) throw e;
    failAt('fold-refused', `transform ${t.kind} does not fold: ${e.message} (${e.reason}).`, t.by.span, hints[e.reason] ?? GENERAL);
  }
}
const GENERAL = 'Select edges that fold; `qc inspect` shows what lies between two sites.';
const hints: Partial<Record<Refusal['reason'], string>> = {
  'reader-left-out': 'Select every reader of the value, or write { online: true } for an explicit multiplication.',
  'mixes-channels': 'Leave the edge out, or write { online: true } for an explicit multiplication.',
  'no-producer': 'Leave the edge out, or write { online: true } for an explicit multiplication.',
  'centred-norm': 'Rotations of the stream need RMSNorm or LayerNorm.',
};

/** Inputs that hold a cache are mapped as what is written to it. */
function adapting(applied: readonly Applied[]): Pick<Source, 'adapt'> {
  const maps = applied.flatMap((a) => [...(a.caches ?? [])]);
  if (maps.length === 0) return {};
  return {
    adapt(feeds) {
      const out: Record<string, Value> = { ...feeds };
      for (const [name, map] of maps) {
        const v = out[name];
        if (v?.dtype !== 'float32') continue;
        const x = Float32Array.from(floats(v));
        map(x, v.shape);
        out[name] = { ...v, bytes: new Uint8Array(x.buffer) };
      }
      return out;
    },
  };
}
