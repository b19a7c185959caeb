/** What the report says in numbers, drawn from its data: groups by role and type, coverage, the worst layers. */

import { REST, type SqnrPoint } from './charts.ts';
import type { PortReport, ReportData } from './data.ts';

export interface Group {
  readonly role: string;
  readonly port: string;
  readonly type: string;
  readonly count: number;
  readonly parameters: number;
  readonly before: number;
  readonly after: number;
  /** Mean over the layers, dB. */
  readonly sqnr?: number;
}

/** One row for each (role, port, type), largest first. */
export function groups(ports: readonly PortReport[]): Group[] {
  const by = new Map<string, PortReport[]>();
  for (const p of ports) {
    if (p.type === undefined) continue;
    const key = JSON.stringify([p.role, p.port, p.type]);
    by.set(key, [...(by.get(key) ?? []), p]);
  }
  const sum = (of: readonly PortReport[], f: (p: PortReport) => number | undefined) => of.reduce((n, p) => n + (f(p) ?? 0), 0);
  return [...by.values()]
    .map((of) => {
      const measured = of.filter((p) => p.weightSqnr !== undefined && Number.isFinite(p.weightSqnr));
      return {
        role: of[0]!.role,
        port: of[0]!.port,
        type: of[0]!.type!,
        count: of.length,
        parameters: sum(of, (p) => p.parameters),
        before: sum(of, (p) => p.bytesBefore),
        after: sum(of, (p) => p.bytesAfter),
        ...(measured.length ? { sqnr: sum(measured, (p) => p.weightSqnr) / measured.length } : {}),
      };
    })
    .sort((a, b) => b.before - a.before || b.count - a.count);
}

/** Bytes of the file before and after by what they hold. What no port claims is `other`. */
export function sizes(d: ReportData): { stage: string; kind: string; bytes: number }[] {
  const weights = d.ports.filter((p) => p.kind === 'weight');
  const after = new Map<string, number>();
  for (const p of weights) {
    const kind = p.type === undefined ? `${p.role} in float` : `${p.role} ${shortType(p.type)}`;
    after.set(kind, (after.get(kind) ?? 0) + (p.bytesAfter ?? p.bytesBefore ?? 0));
  }
  const claimed = weights.reduce((n, p) => n + (p.bytesBefore ?? 0), 0);
  const left = [...after.values()].reduce((a, b) => a + b, 0);
  return [
    { stage: 'before', kind: 'float weights', bytes: claimed },
    { stage: 'before', kind: REST, bytes: Math.max(0, d.model.bytes - claimed) },
    ...[...after].sort((a, b) => b[1] - a[1]).map(([kind, bytes]) => ({ stage: 'after', kind, bytes })),
    { stage: 'after', kind: REST, bytes: Math.max(0, d.output.bytes - left) },
  ].filter((r) => r.bytes > 0);
}

/** `int4 group 32 symmetric mse(80)` → `int4 group 32`. */
export const shortType = (type: string): string =>
  type.split(/ (?=symmetric|asymmetric|static|dynamic|minmax|mse|hqq|entropy|percentile|signed)/)[0]!;

/** Share of the parameters of linear and conv weights that are quantized, 0 … 1; undefined where there are none. */
export function coverage(ports: readonly PortReport[]): number | undefined {
  const of = ports.filter((p) => p.kind === 'weight' && (p.role === 'linear' || p.role === 'conv'));
  const all = of.reduce((n, p) => n + (p.parameters ?? 0), 0);
  return all ? of.reduce((n, p) => n + (p.type === undefined ? 0 : (p.parameters ?? 0)), 0) / all : undefined;
}

/** Points of the SQNR plot, in model order. */
export function sqnrPoints(ports: readonly PortReport[]): SqnrPoint[] {
  return ports.flatMap((p) => [
    ...(p.weightSqnr !== undefined && Number.isFinite(p.weightSqnr)
      ? [{ path: p.path, role: p.role, what: 'weight' as const, db: p.weightSqnr }]
      : []),
    ...(p.outputSqnr !== undefined && Number.isFinite(p.outputSqnr)
      ? [{ path: p.path, role: p.role, what: 'output' as const, db: p.outputSqnr }]
      : []),
  ]);
}

/** Sites with the lowest SQNR (of the output where measured, else of the weight) and the ports of theirs that carry histograms. */
export function worst(ports: readonly PortReport[], count: number): { path: string; role: string; ports: PortReport[]; db: number }[] {
  const by = new Map<string, PortReport[]>();
  for (const p of ports) by.set(p.site, [...(by.get(p.site) ?? []), p]);
  const lowest = (of: readonly PortReport[], key: 'outputSqnr' | 'weightSqnr') =>
    Math.min(...of.map((p) => p[key]).filter((x): x is number => x !== undefined && Number.isFinite(x)));
  const anyOutput = ports.some((p) => p.outputSqnr !== undefined);
  return [...by.values()]
    .map((of) => ({ path: of[0]!.path, role: of[0]!.role, ports: of, db: lowest(of, anyOutput ? 'outputSqnr' : 'weightSqnr') }))
    .filter((s) => Number.isFinite(s.db))
    .sort((a, b) => a.db - b.db)
    .slice(0, count);
}
