/** `quantize`: formats and schemes, ports, granularity. */
import type * as Ast from '../../grammar/ast.ts';
import { type Entry, kindsOf, namesOf, statements } from '../catalog/index.ts';
import type { Expr, Fields, Selection } from '../recipe.ts';
import { either, ref } from '../schema.ts';
import { fieldsOf } from './arguments.ts';
import { type Context, lookup, nearest, nounOf, report, suggest, wrong } from './context.ts';
import { call } from './param.ts';
import { entryOf, tellRenamed } from './renamed.ts';
import { portsOf, rolesIn, speaksOf } from './selection.ts';

type Quantize = Extract<Ast.Stmt, { kind: 'quantize' }>;
const type = either<unknown>([ref('format', { doc: 'A format.' }), ref('scheme', { doc: 'A scheme.' })], { doc: 'A number type.' });

/** The type behind `as`: a format or a scheme, with the entry where it is not a local name. */
export function checkType(ctx: Context, e: Ast.Expr): { as: Expr; entry?: Entry } {
  const callee = e.kind === 'call' ? e.callee : e;
  if (callee.kind === 'broken') return { as: wrong(e.span) };
  if (callee.kind !== 'name') {
    report(ctx, 'wrong-type', e.span, '`as`', 'a format or a scheme', nounOf(e));
    return { as: wrong(e.span) };
  }
  if (lookup(ctx, callee.name)) return { as: ctx.read.param(ctx, e, type, '`as`') };
  const entry = entryOf(ctx, 'format', callee.name) ?? entryOf(ctx, 'scheme', callee.name);
  if (!entry) {
    if (!ctx.file.doubtful.has(callee.name)) unknown(ctx, callee);
    return { as: wrong(e.span) };
  }
  tellRenamed(ctx, entry.kind, callee.name, callee.span);
  if (entry.planned) report(ctx, 'planned', callee.span, entry.kind, entry.name);
  return { as: call(ctx, e, entry), entry };
}

function unknown(ctx: Context, name: Ast.Name): void {
  const known = [...namesOf('format'), ...namesOf('scheme')].filter((x) => !x.planned).map((x) => x.name);
  const [, sign, bits] = /^(u?)int(\d+)$/.exec(name.name) ?? [];
  const near = bits ? `int(${bits}${sign ? ', signed: no' : ''})` : nearest(name.name, known);
  suggest(ctx, 'unknown-name', name.span, near, 'format or scheme', name.name, near, known, kindsOf(name.name));
}

/** Reads the statement's parts; `fields` without `when`. */
export function checkQuantize(ctx: Context, s: Quantize): { ports: string[]; of: Selection; as: Expr; fields: Fields } {
  const of = ctx.read.selection(ctx, s.of);
  const { as, entry } = checkType(ctx, s.as);
  const scheme = entry?.kind === 'scheme' ? entry : undefined;
  const schema = { ...statements.quantize, ...scheme?.params };
  const fields = fieldsOf(ctx, s.fields, schema, scheme ? `\`${scheme.name}\`` : '`quantize`', s.span);
  const known = portsOf(rolesIn(of));
  for (const p of s.ports) {
    if (known.has(p.name) || ctx.file.doubtful.has(p.name)) continue;
    const roles = [...(rolesIn(of) ?? [])];
    const near = nearest(p.name, known);
    suggest(ctx, 'unknown-port', p.span, near, p.name, roles.length ? roles.join(' or ') : 'A role', near, [...known]);
  }
  if (s.ports.length === 0 && entry?.kind === 'format') report(ctx, 'needs-ports', s.as.span, entry.name);
  grain(
    ctx,
    s,
    s.ports.filter((p) => known.has(p.name)),
    of,
    entry,
  );
  return { ports: s.ports.map((p) => p.name), of, as, fields };
}

/** Granularity and mode, as far as they are written out. */
function grain(ctx: Context, s: Quantize, ports: readonly Ast.Name[], of: Selection, entry: Entry | undefined): void {
  const field = (...names: string[]): Ast.Field | undefined => s.fields?.fields.find((f) => names.includes(f.key.name));
  const wordOf = (f: Ast.Field | undefined): string | undefined =>
    f?.value.kind === 'name' && !lookup(ctx, f.value.name) ? f.value.name : undefined;
  const grains = [
    field('per', 'strategy', 'granularity'),
    field('group', 'group_size', 'block_size', 'q_group_size'),
    field('block'),
  ].filter((f) => f !== undefined);
  const [first, second] = grains;
  if (first && second) report(ctx, 'grain-conflict', second.span, first.key.name, second.key.name);
  const block = field('block');
  if (block?.value.kind === 'list' && block.value.items.length !== 2) report(ctx, 'bad-block', block.value.span);

  const per = field('per', 'strategy', 'granularity');
  const weights = ports.filter((p) => p.name === 'weight');
  const activations = ports.filter((p) => p.name !== 'weight');
  const word = wordOf(per);
  if (per && weights.length && word !== undefined && !['tensor', 'channel'].includes(word) && statementKnows(word))
    report(ctx, 'token-on-weight', per.value.span, word);
  const input = activations[0];
  if (per && word === 'channel' && input && !speaksOf(of, 'migrated') && !mayShare(of))
    report(ctx, 'channel-input', per.value.span, input.name);
  const mode = field('mode');
  if (mode && wordOf(mode) === 'dynamic' && weights.length === s.ports.length && weights.length)
    report(ctx, 'mode-on-weight', mode.value.span);
  if (!mode && activations.length && entry?.kind !== 'scheme' && !entry?.cast)
    report(ctx, 'mode-needed', s.span, activations.map((p) => p.name).join(', '));
}
/** Recurrences and convolutions may have scales by channel; the plan knows which. */
const mayShare = (of: Selection): boolean => [...(rolesIn(of) ?? [])].some((r) => r === 'ssm' || r === 'conv');
const statementKnows = (word: string): boolean => {
  const per = statements.quantize['per']?.is;
  return per?.kind === 'choice' && per.of.includes(word);
};
