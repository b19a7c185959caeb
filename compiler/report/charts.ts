/** The plots of the report: vega-lite specifications rendered to SVG without a browser. Colours are CSS variables, so one picture serves light and dark. */
import { Error as errors, logger as makeLogger, parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { HistogramData, PortReport } from './data.ts';

const config: NonNullable<TopLevelSpec['config']> = {
  font: 'system-ui, sans-serif',
  padding: 4,
  axis: {
    labelColor: 'var(--muted)',
    titleColor: 'var(--muted)',
    titleFontWeight: 'normal',
    gridColor: 'var(--line)',
    domainColor: 'var(--line)',
    tickColor: 'var(--line)',
    labelFontSize: 11,
    titleFontSize: 11,
  },
  legend: {
    labelColor: 'var(--ink)',
    titleColor: 'var(--muted)',
    titleFontWeight: 'normal',
    labelFontSize: 11,
    orient: 'top',
    title: null,
  },
  view: { stroke: null },
};

async function svg(spec: TopLevelSpec): Promise<string> {
  const logger = makeLogger(errors);
  const sized = { background: 'transparent', autosize: { type: 'fit-x' as const, contains: 'padding' as const }, ...spec, config };
  const view = new View(parse(compile(sized, { logger }).spec), { renderer: 'none', logger });
  try {
    const text = await view.toSVG();
    // The page scales pictures: only the view box says their size.
    return text.replace(/ width="([\d.]+)" height="([\d.]+)"/, ' style="max-width:$1px" width="100%"');
  } finally {
    view.finalize();
  }
}

/** Colour variable of each role, the same in every plot. */
export function palette(ports: readonly PortReport[]): (role: string) => string {
  const roles = [...new Set(ports.map((p) => p.role))];
  return (role) => `var(--c${roles.indexOf(role) % 8})`;
}

/** What no weight accounts for. */
export const REST = 'graph, norms, tables';

/** Bytes of weights before and after, stacked by type. */
export function sizeChart(rows: readonly { stage: string; kind: string; bytes: number }[], width: number): Promise<string> {
  const kinds = [...new Set(rows.map((r) => r.kind))].sort((a, b) => Number(a === REST) - Number(b === REST));
  return svg({
    width,
    height: { step: 34 },
    data: { values: rows.map((r) => ({ ...r, mb: r.bytes / 1e6, order: kinds.indexOf(r.kind) })) },
    mark: { type: 'bar', cornerRadius: 2, height: 22 },
    encoding: {
      y: {
        field: 'stage',
        type: 'nominal',
        sort: ['before', 'after'],
        title: null,
        axis: { ticks: false, domain: false, labelColor: 'var(--ink)' },
      },
      x: { field: 'mb', type: 'quantitative', title: 'MB', axis: { tickCount: 6 } },
      order: { field: 'order' },
      color: {
        field: 'kind',
        type: 'nominal',
        scale: { domain: kinds, range: kinds.map((k, i) => (k === REST ? 'var(--c7)' : `var(--c${i % 7})`)) },
        legend: { columns: Math.max(1, Math.floor(width / 190)), labelLimit: 400 },
      },
    },
  });
}

/** Width of a letter of the labels, px. */
const LETTER = 5.7;

export interface SqnrPoint {
  readonly path: string;
  readonly role: string;
  readonly what: 'weight' | 'output';
  readonly db: number;
}

/** dB of every layer in model order, top to bottom; one dot for the weight and one for the output where both were measured. */
export function sqnrChart(points: readonly SqnrPoint[], color: (role: string) => string, width: number): Promise<string> {
  const order = [...new Set(points.map((p) => p.path))];
  const roles = [...new Set(points.map((p) => p.role))];
  const whats = [...new Set(points.map((p) => p.what))];
  // Long paths lose their front: the end says which layer of the block it is.
  const letters = Math.min(Math.max(...order.map((path) => path.length)), Math.floor((width * 0.42) / LETTER));
  return svg({
    width,
    height: { step: order.length > 60 ? 12 : 16 },
    data: { values: points.map((p) => ({ ...p })) },
    layer: [
      {
        mark: { type: 'rule', stroke: 'var(--muted)', opacity: 0.5 },
        encoding: { x: { aggregate: 'min', field: 'db', type: 'quantitative' }, x2: { aggregate: 'max', field: 'db' } },
      },
      {
        mark: { type: 'point', filled: true, size: 46, opacity: 1 },
        encoding: {
          x: {
            field: 'db',
            type: 'quantitative',
            title: 'SQNR, dB (right is better)',
            scale: { zero: false, nice: true },
            axis: { orient: 'top', tickCount: Math.round(width / 90) },
          },
          color: {
            field: 'role',
            type: 'nominal',
            scale: { domain: roles, range: roles.map(color) },
            legend: null,
          },
          shape: {
            field: 'what',
            type: 'nominal',
            scale: { domain: whats, range: whats.map((w) => (w === 'weight' ? 'circle' : 'diamond')) },
            legend: null,
          },
        },
      },
    ],
    encoding: {
      y: {
        field: 'path',
        type: 'nominal',
        sort: order,
        title: null,
        axis: {
          labelLimit: width,
          // Without a browser vega overestimates the width of text.
          minExtent: letters * LETTER,
          maxExtent: letters * LETTER,
          labelExpr: `length(datum.value) > ${letters} ? '…' + slice(datum.value, ${1 - letters}) : datum.value`,
          ticks: false,
          domain: false,
          labelColor: 'var(--ink)',
          labelFontSize: 10,
        },
      },
    },
  });
}

/** Counts of a histogram on a symlog axis (tails are what hurts), with the range that codes cover between two rules. */
export function histogramChart(
  h: HistogramData,
  range: readonly [number, number] | undefined,
  color: string,
  width: number,
): Promise<string> {
  const step = (h.hi - h.lo) / h.counts.length || 1;
  const values = h.counts.map((count, i) => ({ from: h.lo + i * step, to: h.lo + (i + 1) * step, count }));
  return svg({
    width,
    height: 84,
    layer: [
      {
        data: { values },
        mark: { type: 'bar', color },
        encoding: {
          x: { field: 'from', type: 'quantitative', bin: { binned: true, step }, title: null, axis: { grid: false, tickCount: 5 } },
          x2: { field: 'to' },
          y: {
            field: 'count',
            type: 'quantitative',
            scale: { type: 'symlog' },
            title: 'count',
            axis: { values: [10, 1e3, 1e5, 1e7], labelExpr: "format(datum.value, '~s')" },
          },
        },
      },
      ...(range
        ? [
            {
              data: { values: range.map((at) => ({ at })) },
              mark: { type: 'rule' as const, stroke: 'var(--bad)', strokeDash: [4, 3] },
              encoding: { x: { field: 'at', type: 'quantitative' as const } },
            },
          ]
        : []),
    ],
  });
}
