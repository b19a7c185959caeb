/** The report's data: everything that a compile knows, as plain data. */
import { observerFor, type Statistics } from '../calibrate/index.ts';
import type { Lowered } from '../define.ts';
import type { Comparison } from '../evaluate/index.ts';
import type { Planned } from '../plan/plan.ts';
import type { HistogramData, PortReport, ReportData } from '../report/data.ts';
import type { QuantizedValue, Simulated } from '../simulated.ts';
import type { Assessment } from './assess.ts';
import type { Explanation } from './explanation.ts';
import { weightHistograms } from './histogram.ts';
import { VERSION } from './metadata.ts';
import { decibels, type WeightError } from './meter.ts';
import type { Source } from './model.ts';
import type { Read } from './recipe.ts';
import type { Run } from './run.ts';
import type { Calibrated } from './statistics.ts';
import type { CompileOptions, CompileResult } from './types.ts';

export interface Facts {
  readonly plan: Planned;
  readonly explanation: Explanation;
  readonly lowered: Lowered;
  readonly values: readonly QuantizedValue[];
  readonly errors: ReadonlyMap<string, WeightError>;
  readonly comparison?: Comparison;
  readonly statistics?: Statistics;
  readonly histograms: ReadonlyMap<string, HistogramData>;
}

/** Collects the report of a compile. */
export async function reportOf(o: {
  readonly read: Read;
  readonly plan: Planned;
  readonly explanation: Explanation;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  readonly found: Assessment;
  readonly calibrated: Calibrated | undefined;
  readonly errors: ReadonlyMap<string, WeightError>;
  readonly source: Source;
  readonly files: CompileResult['files'];
  readonly size: number;
  readonly options: CompileOptions;
  readonly run: Run;
}): Promise<ReportData> {
  const { read, plan, explanation, simulated, lowered, found, calibrated, source, files, options, run } = o;
  const { crunch } = options.host;
  const histograms = options.histograms
    ? await weightHistograms(simulated.weights, source.reader, crunch)
    : new Map<string, HistogramData>();
  const { statistics } = calibrated ?? {};
  const docs = read.recipe.statements.flatMap((s) => (s.verb === 'doc' ? [s.value] : []));
  const written = files.filter((f) => !f.path.endsWith('.qstats')).reduce((n, f) => n + f.bytes, 0);
  return {
    recipe: { name: plan.recipe, version: plan.version, text: read.text, ...(read.recipe.title ? { title: read.recipe.title } : {}), docs },
    model: { path: source.path, bytes: source.bytes },
    output: { path: options.output, bytes: written || o.size },
    target: explanation.target,
    ports: portReports({
      plan,
      explanation,
      lowered,
      values: simulated.values,
      errors: o.errors,
      histograms,
      ...(found.comparison ? { comparison: found.comparison } : {}),
      ...(statistics ? { statistics } : {}),
    }),
    requires: found.requires.map(({ text, passed, measured }) => ({ text, passed, measured })),
    metrics: found.metrics.map(({ name, text }) => ({ name, value: text })),
    ledger: run.ledger,
    bindings: Object.entries(plan.binding).map(([name, value]) => ({ name, value: String(value) })),
    phases: Object.entries(run.seconds).map(([name, seconds]) => ({ name, seconds })),
    environment: [
      { name: 'qc', value: VERSION },
      { name: 'crunch', value: `${crunch.kind}, ${crunch.isa}` },
      { name: 'model fingerprint', value: await source.fingerprint() },
      ...(statistics ? [{ name: 'calibration', value: `${statistics.from.source}, ${statistics.from.samples} samples` }] : []),
    ],
  };
}

/** One entry for each port of each site that carries a weight or a type. */
export function portReports(f: Facts): PortReport[] {
  const ops = new Map(f.lowered.emitted.map((e) => [e.site, e.ops]));
  const values = new Map(f.values.map((v) => [`${v.site.id}\n${v.port}`, v]));
  const sites = new Map(f.plan.sites.sites.map((s) => [s.id, s]));
  return f.explanation.ports
    .filter((p) => p.kind === 'weight' || p.type !== undefined)
    .map((p): PortReport => {
      const site = sites.get(p.site)!;
      const error = p.kind === 'weight' ? f.errors.get(p.site) : undefined;
      const output = site.ports['output']?.value;
      const drift = p.kind === 'weight' && output !== undefined ? f.comparison?.layers.get(output) : undefined;
      const value = values.get(`${p.site}\n${p.port}`);
      const histogram = p.kind === 'weight' ? f.histograms.get(p.site) : value && observedHistogram(value, f.statistics);
      const range = value && rangeOf(value);
      const said = (s: { at: string; text: string }) => `${s.at}  ${s.text}`;
      return {
        site: p.site,
        path: p.path,
        role: p.role,
        ...(p.block === undefined ? {} : { block: p.block }),
        port: p.port,
        kind: p.kind,
        ...(p.type === undefined ? {} : { type: p.type }),
        ...(p.why === undefined ? {} : { why: p.why }),
        ...(p.by ? { by: said(p.by) } : {}),
        ...(p.shadowed.length ? { shadowed: p.shadowed.map(said) } : {}),
        ...(p.parameters === undefined
          ? {}
          : { parameters: p.parameters, bytesBefore: p.bytesBefore!, bytesAfter: Math.round(p.bytesAfter!) }),
        ...(error && p.type !== undefined ? { weightSqnr: decibels(error) } : {}),
        ...(drift === undefined ? {} : { outputSqnr: drift }),
        ...(histogram ? { histogram } : {}),
        ...(range ? { range } : {}),
        ...(p.type !== undefined && ops.get(p.site) ? { ops: ops.get(p.site)! } : {}),
      };
    });
}

/** What the codes of a static activation cover. */
function rangeOf(v: QuantizedValue): readonly [number, number] | undefined {
  const { codes } = v.type;
  if (v.scale?.length !== 1 || codes?.kind !== 'int') return undefined;
  const zero = v.zero?.[0] ?? 0;
  return [(codes.lo - zero) * v.scale[0]!, (codes.hi - zero) * v.scale[0]!];
}

function observedHistogram(v: QuantizedValue, statistics: Statistics | undefined): HistogramData | undefined {
  if (v.type.mode !== 'static' || !v.type.codes) return undefined;
  const observer = observerFor(v.type.law);
  if (observer.name !== 'histogram' || !statistics?.has(v.value, observer)) return undefined;
  const { range, counts } = statistics.get(v.value, observer);
  return { lo: range![0]!, hi: range![1]!, counts: [...counts!] };
}
