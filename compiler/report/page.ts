/** `renderReport(data)`: one HTML file that needs nothing from outside. */
import { histogramChart, palette, sizeChart, sqnrChart } from './charts.ts';
import { css } from './css.ts';
import type { PortReport, ReportData } from './data.ts';
import { type Html, html, raw } from './html.ts';
import { coverage, groups, sizes, sqnrPoints, worst } from './summary.ts';
import { bytes, duration } from './units.ts';

const WORST = 6;
const db = (x: number | undefined) => (x === undefined ? '' : `${x.toFixed(1)} dB`);
const percent = (x: number) => `${(100 * x).toFixed(x > 0.9995 || x < 0.0005 ? 0 : 1)} %`;
const count = (n: number) => n.toLocaleString('en-US');
const name = (path: string) => path.split(/[\\/]/).at(-1)!;
const section = (title: string, note: string, body: Html | undefined): Html | undefined =>
  body && html`<section><h2>${title}</h2>${note && html`<p class="muted">${note}</p>`}${body}</section>`;
/** The same plot twice: for a desk and for a phone. */
const both = async (draw: (width: number) => Promise<string>, wide: number, narrow: number): Promise<Html> =>
  html`<figure class="wide">${raw(await draw(wide))}</figure><figure class="narrow">${raw(await draw(narrow))}</figure>`;

export async function renderReport(d: ReportData): Promise<string> {
  const color = palette(d.ports);
  const body = html`
${head(d)}
${figures(d)}
${section('Contract', 'What the recipe requires, and what was measured.', requires(d))}
${section('Size', '', await size(d))}
${section('What became what', 'Every group of values that got a number type.', types(d, color))}
${section('Error of every layer', 'Signal to quantization noise, in model order. 6 dB are one bit.', await layers(d, color))}
${section('Worst layers first', 'Histograms have a logarithmic count; dashed lines are the range that codes cover.', await worstLayers(d, color))}
${section('Left in float', 'Nothing is left out silently: each with its reason.', untouched(d))}
${section('Ledger', 'What the compiler did and noticed.', ledger(d))}
${section('Recipe', '', html`<pre>${d.recipe.text}</pre>`)}
${section('Environment', '', environment(d))}`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="qc">
<title>${name(d.output.path)} · qc report</title><style>${raw(css)}</style></head><body><main>${body}</main></body></html>
`.text;
}

function head(d: ReportData): Html {
  return html`<h1>${name(d.model.path)} → ${name(d.output.path)}</h1>
<p class="muted">${d.recipe.title ? html`${d.recipe.title} · ` : ''}recipe <code>${d.recipe.name}</code> ${d.recipe.version} · target <code>${d.target}</code></p>
${(d.recipe.docs ?? []).map((t) => html`<p>${t}</p>`)}`;
}

function figures(d: ReportData): Html {
  const covered = coverage(d.ports);
  const failed = d.requires.filter((r) => !r.passed).length;
  const total = d.phases.reduce((n, p) => n + p.seconds, 0);
  const card = (value: string | Html, label: string) => html`<div class="card"><b>${value}</b><small>${label}</small></div>`;
  return html`<div class="figures">
${card(`${(d.output.bytes / d.model.bytes).toFixed(3)}×`, `size: ${bytes(d.model.bytes)} → ${bytes(d.output.bytes)}`)}
${covered !== undefined && card(percent(covered), 'of linear and conv weights quantized')}
${d.metrics.map((m) => card(m.value, m.float === undefined ? m.name : `${m.name} (float: ${m.float})`))}
${
  d.requires.length > 0 &&
  card(
    failed ? html`<span class="bad">${failed} broken</span>` : html`<span class="good">kept</span>`,
    `contract of ${d.requires.length} ${d.requires.length === 1 ? 'condition' : 'conditions'}`,
  )
}
${total > 0 && card(duration(total * 1000), 'to compile')}
</div>`;
}

function requires(d: ReportData): Html | undefined {
  if (!d.requires.length) return undefined;
  return html`<div class="scroll"><table><tr><th>condition</th><th>measured</th><th></th></tr>${d.requires.map(
    (r) =>
      html`<tr><td><code>${r.text}</code></td><td>${r.measured}</td><td class="mark ${r.passed ? 'good' : 'bad'}">${r.passed ? '✓ holds' : '✗ broken'}</td></tr>`,
  )}</table></div>`;
}

async function size(d: ReportData): Promise<Html> {
  return both((w) => sizeChart(sizes(d), w), 928, 350);
}

function types(d: ReportData, color: (role: string) => string): Html {
  const rows = groups(d.ports);
  return html`<div class="scroll"><table class="broad"><tr><th>role</th><th>port</th><th>type</th><th class="n">layers</th><th class="n">parameters</th><th class="n">bytes</th><th class="n">mean SQNR</th></tr>${rows.map(
    (
      g,
    ) => html`<tr><td><i class="dot" style="background:${color(g.role)}"></i>${g.role}</td><td>${g.port}</td><td>${g.type}</td><td class="n">${count(g.count)}</td>
<td class="n">${g.parameters ? count(g.parameters) : ''}</td><td class="n">${g.before ? `${bytes(g.before)} → ${bytes(g.after)}` : ''}</td><td class="n">${db(g.sqnr)}</td></tr>`,
  )}</table></div>`;
}

async function layers(d: ReportData, color: (role: string) => string): Promise<Html | undefined> {
  const points = sqnrPoints(d.ports);
  if (!points.length) return undefined;
  const roles = [...new Set(points.map((p) => p.role))].map(
    (r) => html`<span><i class="dot" style="background:${color(r)}"></i>${r}</span>`,
  );
  const shapes = points.some((p) => p.what === 'output') && html`<span>● weight</span><span>◆ output on calibration data</span>`;
  return html`<p class="legend">${roles}${shapes}</p>${await both((w) => sqnrChart(points, color, w), 928, 350)}`;
}

async function worstLayers(d: ReportData, color: (role: string) => string): Promise<Html | undefined> {
  const sites = worst(d.ports, WORST);
  if (!sites.length) return undefined;
  const plot = async (p: PortReport) =>
    p.histogram &&
    html`<figure>${raw(await histogramChart(p.histogram, p.range, color(p.role), 300))}<small>${p.kind === 'weight' ? 'weight' : p.port}${p.type ? ` · ${p.type}` : ''}</small></figure>`;
  const cards = await Promise.all(
    sites.map(async (s) => {
      const sqnr = s.ports.map((p) => p.weightSqnr).find((x) => x !== undefined);
      const output = s.ports.map((p) => p.outputSqnr).find((x) => x !== undefined);
      const facts = [s.role, sqnr !== undefined && `weight ${db(sqnr)}`, output !== undefined && `output ${db(output)}`]
        .filter(Boolean)
        .join(' · ');
      return html`<div class="card"><h3><code>${s.path}</code></h3><small>${facts}</small>${await Promise.all(s.ports.map(plot))}</div>`;
    }),
  );
  return html`<div class="cards">${cards}</div>`;
}

function untouched(d: ReportData): Html | undefined {
  const by = new Map<string, PortReport[]>();
  for (const p of d.ports.filter((q) => q.type === undefined)) {
    const key = JSON.stringify([p.role, p.port, p.why ?? '']);
    by.set(key, [...(by.get(key) ?? []), p]);
  }
  if (!by.size) return undefined;
  const rows = [...by.values()].sort((a, b) => Number(b[0]!.kind === 'weight') - Number(a[0]!.kind === 'weight'));
  return html`<div class="scroll"><table class="broad"><tr><th>role</th><th>port</th><th>why</th><th class="n">layers</th><th>which</th></tr>${rows.map(
    (of) => {
      const shown = of.slice(0, 3).map((p) => p.path);
      return html`<tr><td>${of[0]!.role}</td><td>${of[0]!.port}</td><td>${of[0]!.why}</td><td class="n">${of.length}</td>
<td><code>${shown.join(', ')}</code>${of.length > 3 && html` <small>and ${of.length - 3} more</small>`}</td></tr>`;
    },
  )}</table></div>`;
}

function ledger(d: ReportData): Html | undefined {
  if (!d.ledger.length && !d.bindings.length) return undefined;
  const chosen = d.bindings.map((b) => html`<tr><td>search</td><td><code>${b.name}</code></td><td>${b.value}</td></tr>`);
  const rows = d.ledger.map((e) => html`<tr><td>${e.what}</td><td>${e.site && html`<code>${e.site}</code>`}</td><td>${e.detail}</td></tr>`);
  const all = [...chosen, ...rows];
  const shown = (of: readonly Html[]) =>
    html`<div class="scroll"><table class="broad"><tr><th>what</th><th>where</th><th></th></tr>${of}</table></div>`;
  return all.length <= 20
    ? shown(all)
    : html`${shown(all.slice(0, 12))}<details><summary>${all.length - 12} more entries</summary>${shown(all.slice(12))}</details>`;
}

function environment(d: ReportData): Html {
  return html`<div class="scroll"><table>${d.environment.map((e) => html`<tr><td class="muted">${e.name}</td><td><code>${e.value}</code></td></tr>`)}
${d.phases.filter((p) => p.seconds >= 0.0005).map((p) => html`<tr><td class="muted">${p.name}</td><td>${duration(p.seconds * 1000)}</td></tr>`)}</table></div>`;
}
