/** From what a statement says to a QType: formats, granularity, laws, defaults and guard-rails. */
import type { Format, Law, Solver, Transform } from '../define.ts';
import type { Ref, Schema } from '../schema.ts';
import { shares } from '../simulate/sharing.ts';
import type { Port, Site } from '../sites.ts';
import { type Call, failAt, plain, print, refOf, type Val } from './bind.ts';
import type { Grain, QType } from './types.ts';

type Span = Call['span'];
type RefVal = Extract<Val, { kind: 'ref' }>;

/** The definitions that types are made of. */
export interface Names {
  readonly formats: readonly Format[];
  readonly laws: readonly Law[];
  readonly transforms?: readonly Transform[];
  readonly solvers?: readonly Solver[];
}

/** What one port was asked to be: a format and the fields of the statement's record, evaluated. */
export interface Asked {
  readonly format: RefVal;
  readonly fields: Readonly<Record<string, Val>>;
  /** A scheme gives `mode` itself; outside one an activation must say it. */
  readonly scheme?: string;
  readonly span: Span;
}

/** Fills in the defaults of a schema. */
export function withDefaults(schema: Schema, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, p] of Object.entries(schema)) {
    const key = [name, ...(p.aliases ?? [])].find((k) => given[k] !== undefined);
    if (key !== undefined) out[name] = given[key];
    else if (p.default !== undefined) out[name] = p.default;
  }
  return out;
}

/** `int4` → int(bits: 4): formats list the words that the field types for them. */
function spelt(format: RefVal, names: Names): { def: Format; args: Record<string, unknown> } | undefined {
  const given = refOf(format).args;
  for (const def of names.formats) {
    if (def.name === format.name) return { def, args: given };
    const fixed = def.spellings?.[format.name];
    if (fixed) return { def, args: { ...fixed, ...given } };
  }
  return undefined;
}

/** The type that a port gets. Errors: `group-divides`, `grain-axis`, `mode-needed`, `channel-input`, `unknown-format`, `mode-on-weight`. */
export function resolveType(asked: Asked, site: Site, port: Port, names: Names): QType {
  const { fields, span } = asked;
  const found = spelt(asked.format, names);
  if (!found) return failAt('unknown-format', `\`${asked.format.name}\` is not a number format.`, span);
  const { def } = found;
  const format: Ref = { name: def.name, args: withDefaults(def.params, found.args) };
  const got = resolved(def, format.args, span);
  const where = `${port.name} of ${site.path}`;
  const cast = got.codes === undefined;
  if (got.levels) checkLevels(port, site, where, def.name, span);
  const symmetric = flag(fields['symmetric']) ?? got.symmetric;
  const mode = modeOf(asked, port, where, cast);
  const grain = got.levels
    ? levelGrain(fields, mode, port, site, where, span)
    : cast
      ? { per: 'tensor' as const }
      : (grainOf(fields, port, site, where, span) ?? defaultGrain(got, port, mode));
  check(grain, port, site, where, span);
  const law = lawOf(fields['scale'] ?? fields['clip'], got.defaultLaw ?? 'minmax', names, span);
  if (mode === 'dynamic' && !RUNTIME_LAWS.includes(law.name))
    failAt(
      'law-dynamic',
      `The scale of the ${where} is found at run time, from its range alone: not by \`${law.name}\`.`,
      span,
      'Write { scale: share(0.9) } to clip, or { mode: static } for a law over calibration data.',
    );
  if ((port.kind === 'weight' || mode === 'dynamic') && law.args['margin'] !== undefined)
    failAt(
      'margin-place',
      `The range of the ${where} is known when its scale is: there is nothing that a margin is for.`,
      span,
      'Write `scale: minmax`.',
    );
  const type = {
    format,
    bits: got.bits,
    symmetric,
    grain,
    mode,
    law,
    scaleType: got.scaleType,
    ...(got.outer ? { outer: got.outer } : {}),
    ...(got.codes ? { codes: got.codes } : {}),
    ...(got.levels ? { levels: got.levels } : {}),
  };
  return { ...type, text: textOf(type, asked.format, port, got.symmetric, names) };
}

/** A format whose parts do not go together says why by throwing. */
function resolved(def: Format, args: Readonly<Record<string, unknown>>, span: Span): ReturnType<Format['resolve']> {
  try {
    return def.resolve(args as never);
  } catch (e) {
    return failAt('bad-format', `${(e as Error).message}.`, span);
  }
}

/** Laws that a scale found at run time can follow: others look at more than the range. */
const RUNTIME_LAWS = ['minmax', 'share'];

const flag = (v: Val | undefined): boolean | undefined => (v?.kind === 'bool' ? v.value : undefined);
const count = (v: Val | undefined): number | undefined => (v?.kind === 'number' ? plain(v.value, v.unit) : undefined);

function modeOf(asked: Asked, port: Port, where: string, cast: boolean): QType['mode'] {
  const m = asked.fields['mode'];
  const word = m === undefined ? undefined : m.kind === 'ref' ? m.name : m.kind === 'string' ? m.value : print(m);
  if (port.kind === 'weight') {
    if (word === 'dynamic') failAt('mode-on-weight', `The ${where} is a constant; it has no dynamic mode.`, asked.span);
    return 'static';
  }
  if (word === 'static' || word === 'dynamic') return word;
  if (cast) return 'static';
  return failAt(
    'mode-needed',
    `The ${where} changes with every input: say when its scale is found.`,
    asked.span,
    'Write { mode: static } (from calibration) or { mode: dynamic } (at run time).',
  );
}

/** `per`, `group` or `block` of the record. */
function grainOf(fields: Asked['fields'], port: Port, site: Site, where: string, span: Span): Grain | undefined {
  const group = count(fields['group'] ?? fields['group_size']);
  if (group !== undefined) return { per: 'group', group };
  const block = fields['block'];
  if (block?.kind === 'list') {
    const [rows, cols] = block.items.map(count);
    if (rows === undefined || cols === undefined || block.items.length !== 2)
      return failAt('bad-block', 'A block is two sizes: `block: [128, 128]`.', span);
    return { per: 'block', rows, cols };
  }
  const per = fields['per'];
  if (per === undefined) return undefined;
  const word = per.kind === 'ref' ? per.name : per.kind === 'string' ? per.value : print(per);
  // the norm before it has divided by the steps: the value that is rounded has one step, 1
  if (word === 'channel' && port.name === 'input' && site.members.includes('migrated')) return { per: 'tensor' };
  if (word === 'channel' && port.kind === 'activation' && !shares(site, port.name, { per: 'channel' }))
    return failAt(
      'channel-input',
      `\`per: channel\` on the ${where} would need a scale for each term of the sum, which no integer product can take out.`,
      span,
      'It is legal where `transform migrate` moved the steps into norm and weight. Else: per: token or per: tensor.',
    );
  return { per: word as 'tensor' | 'channel' | 'token' | 'head' | 'cluster' | 'state_group' | 'element' };
}

/** Weights: what the format says. Activations: by token (or head) when dynamic, else one scale; block-scaled formats keep their blocks. */
function defaultGrain(format: ReturnType<Format['resolve']>, port: Port, mode: QType['mode']): Grain {
  if (format.scaleType !== 'model' && format.grain && (port.kind === 'activation' || !isKernel(port))) return format.grain;
  if (port.kind === 'activation')
    return mode === 'dynamic' ? { per: port.axes['head'] === undefined ? 'token' : 'head' } : { per: 'tensor' };
  // A kernel's reduction (channels × taps) is seldom a multiple of a group: convolutions have a scale for each output channel.
  return isKernel(port) ? { per: 'channel' } : (format.grain ?? { per: 'channel' });
}

/** Is it the weight of a convolution? (1×1 ones too: their groups would be channels of a pixel.) */
export const isKernel = (port: Port): boolean => (port.shape?.length ?? 2) > 2;

/** The length of a weight's reduction, all its axes but `out`. */
export function reduceOf(port: Port): number | undefined {
  const shape = port.shape;
  const out = port.axes['out'];
  if (!shape || out === undefined || !shape.every((d) => typeof d === 'number')) return undefined;
  return (shape as number[]).reduce((p, d, i) => (i === out ? p : p * d), 1);
}
export function outOf(port: Port): number | undefined {
  const d = port.axes['out'] === undefined ? undefined : port.shape?.[port.axes['out']];
  return typeof d === 'number' ? d : undefined;
}

function check(grain: Grain, port: Port, site: Site, where: string, span: Span): void {
  if (port.kind === 'weight' && ['token', 'head', 'cluster', 'state_group', 'element'].includes(grain.per))
    failAt(
      'grain-axis',
      `The ${where} has no ${grain.per} axis.`,
      span,
      'A weight takes per: tensor, per: channel, group: n or block: [r, c].',
    );
  if (grain.per === 'head' && port.axes['head'] === undefined)
    failAt('grain-axis', `The ${where} has no head axis.`, span, 'per: head is for q, k, v, key, value and probs of attention.');
  if (grain.per !== 'group') return;
  if (!Number.isInteger(grain.group) || grain.group < 1)
    failAt('bad-group', `A group has a whole number of elements, not ${grain.group}.`, span);
  const last = port.shape?.[port.axes['channel'] ?? (port.shape?.length ?? 0) - 1];
  const axis = port.kind === 'weight' ? reduceOf(port) : typeof last === 'number' ? last : undefined;
  if (axis === undefined || axis % grain.group === 0) return;
  const fit = [256, 128, 64, 32, 16, 8].filter((n) => axis % n === 0);
  failAt(
    'group-divides',
    `Groups of ${grain.group} do not divide the ${port.kind === 'weight' ? 'reduction' : 'channel'} axis of ${site.path}, which has ${axis} elements.`,
    span,
    fit.length
      ? `Groups that do: ${fit.join(', ')}. Or per: channel, or leave the site out.`
      : 'Use per: channel there, or leave the site out.',
  );
}

/** Static levels are absolute; dynamic ones hang on the largest value of each row. */
function levelGrain(fields: Asked['fields'], mode: QType['mode'], port: Port, site: Site, where: string, span: Span): Grain {
  const own = { per: mode === 'dynamic' ? ('token' as const) : ('tensor' as const) };
  const asked = grainOf(fields, port, site, where, span);
  if (asked === undefined || asked.per === own.per) return own;
  return failAt('levels-grain', `Logarithmic codes are static per tensor or dynamic per token, not ${mode} per ${asked.per}.`, span);
}

/** Powers below one: their scale is 1, so they are for values in [0, 1]. */
function checkLevels(port: Port, site: Site, where: string, format: string, span: Span): void {
  if (port.name === 'probs' || (site.role === 'softmax' && port.name === 'output')) return;
  failAt(
    'levels-range',
    `\`${format}\` has levels in 0…1, which the ${where} does not keep to.`,
    span,
    'It is for `probs of attention` and `output of softmax`.',
  );
}

function lawOf(v: Val | undefined, fallback: string, names: Names, span: Span): Ref {
  const asked = v?.kind === 'ref' ? refOf(v) : v?.kind === 'string' ? { name: v.value, args: {} } : { name: fallback, args: {} };
  const def = names.laws.find((l) => l.name === asked.name);
  if (!def) return failAt('unknown-law', `\`${asked.name}\` is not a scale law.`, span);
  return { name: def.name, args: withDefaults(def.params, asked.args) };
}

function textOf(t: Omit<QType, 'text'>, asked: RefVal, port: Port, formatSymmetric: boolean, names: Names): string {
  if (t.levels) return `${print(asked)} per ${t.grain.per} ${t.mode}`;
  if (t.codes === undefined) return t.format.name;
  const width =
    t.codes.kind === 'int' && Object.keys(asked.args).every((k) => k === 'bits' || k === 'signed')
      ? `${t.codes.signed ? '' : 'u'}int${t.bits}`
      : print(asked);
  const grain =
    t.grain.per === 'group'
      ? `group ${t.grain.group}`
      : t.grain.per === 'block'
        ? `block ${t.grain.rows}x${t.grain.cols}`
        : `per ${t.grain.per}`;
  const parts = [
    width,
    grain,
    ...(t.symmetric === formatSymmetric ? [] : [t.symmetric ? 'symmetric' : 'asymmetric']),
    ...(port.kind === 'activation' ? [t.mode] : []),
    ...(port.kind === 'activation' && t.mode === 'dynamic' && t.law.name === 'minmax' ? [] : [lawText(t.law, names)]),
    ...(t.scaleType === 'model' || t.scaleType === 'int8' ? [] : [`${t.scaleType} scales`]),
  ];
  return parts.join(' ');
}

/** The law as a recipe would spell it: `mse(12, shrink: 0.76)`, without what is the default. */
function lawText(law: Ref, names: Names): string {
  const def = names.laws.find((l) => l.name === law.name);
  const first = def?.positional?.[0];
  const said = Object.entries(law.args).filter(([k, v]) => v !== def?.params[k]?.default);
  const args = said.map(([k, v]) => (k === first ? String(v) : `${k}: ${v === true ? 'yes' : v === false ? 'no' : String(v)}`));
  return args.length ? `${law.name}(${args.join(', ')})` : law.name;
}
