/** Selections on the sites of a model. One that matches nothing is an error with the nearest real names. */
import { distance } from 'fastest-levenshtein';
import picomatch from 'picomatch';
import type { Model } from '../graph/types.ts';
import type { Selection } from '../recipe.ts';
import type { Site, SiteEdge, Sites } from '../sites.ts';
import { failAt } from './bind.ts';

/** What a selection is evaluated on. */
export interface Ground {
  readonly sites: Sites;
  readonly model: Model;
}

/** Sites in the model's order, each once; for an edge selection the edges too. */
export interface Picked {
  readonly sites: readonly Site[];
  readonly edges: readonly SiteEdge[];
}

/**
 * A glob over dotted module paths: `*` within one name, `**` over several, `{a,b}`, `[0-9]`, `?`.
 * A leading `*.` stands for any depth, so that `*.down_proj` means every down_proj.
 */
export function globOf(glob: string): (path: string) => boolean {
  if (glob === '') return () => false;
  const deep = glob.startsWith('*.') ? `**.${glob.slice(2)}` : glob;
  const matches = picomatch(deep.replaceAll('.', '/'), { dot: true, nonegate: true, noextglob: true });
  return (path) => matches(path.replaceAll('.', '/'));
}

/** Other names of members: what they are called by where the value, not the layer that yields it, is spoken of. */
const synonyms: Readonly<Record<string, readonly string[]>> = {
  'attention.key': ['attention.k'],
  'attention.value': ['attention.v'],
  'attention.o': ['attention.output'],
  'attention.qkv': ['attention.q', 'attention.k', 'attention.v'],
  'ssm.in': ['ssm.input'],
  'ssm.x': ['ssm.input'],
  'ssm.z': ['ssm.gate'],
  'ssm.out': ['ssm.output'],
};

/** Does the site have that role: it is one, is a member (`attention.q` of `attention`), or carries the tag (`temporal`). */
const hasRole = (s: Site, role: string): boolean => s.role === role || s.members.some((m) => m === role || m.startsWith(`${role}.`));

function predicate(sel: Selection, g: Ground): (s: Site) => boolean {
  const blocks = g.sites.blocks.length;
  switch (sel.kind) {
    case 'any':
      return () => true;
    case 'role': {
      const name = sel.member === undefined ? sel.role : `${sel.role}.${sel.member}`;
      if (name === 'attention.probs') return (s) => s.role === 'softmax' && attended(g).has(s.nodes.at(-1));
      return (s) => (synonyms[name] ?? [name]).some((n) => hasRole(s, n));
    }
    case 'path':
      if (sel.re !== undefined) {
        const re = regexOf(sel.re, sel);
        return (s) => re.test(s.path);
      }
      return (
        (m) => (s: Site) =>
          m(s.path)
      )(globOf(sel.glob ?? '**'));
    case 'op':
      return (s) => s.nodes.some((n) => n.op === sel.type);
    case 'block': {
      const from = sel.from < 0 ? blocks + sel.from : sel.from;
      const to = sel.to < 0 ? blocks + sel.to : sel.to;
      return (s) => s.block !== undefined && s.block >= from && s.block <= to;
    }
    case 'input':
      return (s) => Object.values(s.ports).some((p) => p.value === sel.name);
    case 'output':
      return (s) => s.ports['output']?.value === sel.name;
    case 'graph':
      return (s) => s.graph === sel.name || (s.graph === '' && g.model.graph.name === sel.name);
    case 'skip':
      return (s) => s.members.includes(`skip.${sel.name}`);
    case 'size':
      return (s) => compare(s.size, sel.rel, sel.value);
    case 'and': {
      const [a, b] = [predicate(sel.left, g), predicate(sel.right, g)];
      return (s) => a(s) && b(s);
    }
    case 'or': {
      const [a, b] = [predicate(sel.left, g), predicate(sel.right, g)];
      return (s) => a(s) || b(s);
    }
    case 'not':
      return (
        (a) => (s: Site) =>
          !a(s)
      )(predicate(sel.of, g));
    case 'optional':
    case 'named':
      return predicate(sel.of, g);
    case 'edge': {
      const ends = new Set(edgesOf(sel, g).flatMap((e) => [e.from, e.to]));
      return (s) => ends.has(s.id);
    }
  }
}

/** Nodes of attentions: the softmax among them yields `probs`. */
const attended = (g: Ground): Set<unknown> => new Set(g.sites.sites.flatMap((s) => (s.role === 'attention' ? s.nodes : [])));

function compare(a: number, rel: string, b: number): boolean {
  if (rel === '<=') return a <= b;
  if (rel === '>=') return a >= b;
  if (rel === '<') return a < b;
  return rel === '>' ? a > b : a === b;
}

function regexOf(re: string, sel: Selection): RegExp {
  try {
    return new RegExp(`^(?:${re})$`, 'u');
  } catch (e) {
    return failAt('bad-regex', `Not a regular expression: ${(e as Error).message}`, sel.span);
  }
}

function edgesOf(sel: Extract<Selection, { kind: 'edge' }>, g: Ground): SiteEdge[] {
  const [from, to] = [predicate(sel.from, g), predicate(sel.to, g)];
  const byId = new Map(g.sites.sites.map((s) => [s.id, s]));
  return g.sites.edges.filter((e) => {
    const [a, b] = [byId.get(e.from), byId.get(e.to)];
    if (a === undefined || b === undefined || (e.tied && !sel.tied)) return false;
    return (from(a) && to(b)) || (sel.tied && from(b) && to(a));
  });
}

function allEdges(sel: Selection, g: Ground): SiteEdge[] {
  if (sel.kind === 'edge') return edgesOf(sel, g);
  if (sel.kind === 'and' || sel.kind === 'or') return [...new Set([...allEdges(sel.left, g), ...allEdges(sel.right, g)])];
  return sel.kind === 'named' || sel.kind === 'optional' ? allEdges(sel.of, g) : [];
}

const optional = (sel: Selection): boolean => sel.kind === 'optional' || (sel.kind === 'named' && optional(sel.of));

/** Evaluates a selection. `within` (the `to` of an applied recipe) narrows it. Error `dead-selection` when nothing matches. */
export function select(sel: Selection, g: Ground, within: readonly Selection[] = []): Picked {
  for (const s of [sel, ...within]) everyNameIsReal(s, g);
  const tests = [sel, ...within].map((s) => predicate(s, g));
  const sites = g.sites.sites.filter((s) => tests.every((t) => t(s)));
  const edges = allEdges(sel, g);
  if (sites.length === 0 && !optional(sel)) dead(sel, g, within.length > 0);
  return { sites, edges };
}

/**
 * A path, operator, block, input or output that does not exist is a mistake wherever it stands: in `linear and not path("lm_haed")` it would
 * quantize what was to be kept. Roles may be absent in a part (`linear or conv`), as long as the whole matches something.
 */
function everyNameIsReal(sel: Selection, g: Ground): void {
  switch (sel.kind) {
    case 'and':
    case 'or':
      everyNameIsReal(sel.left, g);
      everyNameIsReal(sel.right, g);
      return;
    case 'edge':
      everyNameIsReal(sel.from, g);
      everyNameIsReal(sel.to, g);
      return;
    case 'not':
    case 'named':
      everyNameIsReal(sel.of, g);
      return;
    case 'path':
    case 'op':
    case 'block':
    case 'input':
    case 'output':
    case 'graph':
    case 'skip':
      if (!g.sites.sites.some(predicate(sel, g))) dead(sel, g, false);
  }
}

/** Names the part that matched nothing, and what is there instead. */
function dead(sel: Selection, g: Ground, narrowed: boolean): never {
  const part = deadPart(sel, g) ?? sel;
  const what = part === sel && sel.kind === 'and' ? 'No site matches all of it.' : `Nothing in the model matches ${text(part)}.`;
  return failAt(
    'dead-selection',
    narrowed && part === sel ? `${what.slice(0, -1)} within the sites that the recipe is applied to.` : what,
    part.span,
    nearest(part, g),
  );
}

function deadPart(sel: Selection, g: Ground): Selection | undefined {
  if (sel.kind === 'named' || sel.kind === 'optional') return deadPart(sel.of, g);
  if (sel.kind === 'and' || sel.kind === 'or') return deadPart(sel.left, g) ?? deadPart(sel.right, g);
  if (sel.kind === 'edge') return deadPart(sel.from, g) ?? deadPart(sel.to, g);
  if (sel.kind === 'not') return undefined;
  return g.sites.sites.some(predicate(sel, g)) ? undefined : sel;
}

/** The selection as a recipe would spell it. */
export function text(sel: Selection): string {
  switch (sel.kind) {
    case 'role':
      return `\`${sel.role}${sel.member === undefined ? '' : `.${sel.member}`}\``;
    case 'path':
      return sel.re === undefined ? `path("${sel.glob}")` : `path(re: "${sel.re}")`;
    case 'op':
      return `op("${sel.type}")`;
    case 'block':
      return `block(${sel.from}..${sel.to})`;
    case 'input':
    case 'output':
    case 'graph':
    case 'skip':
      return `${sel.kind}("${sel.name}")`;
    case 'size':
      return `size ${sel.rel} ${sel.value}`;
    case 'named':
      return `\`${sel.name}\``;
    case 'edge':
      return `${text(sel.from)} ${sel.tied ? '<->' : '->'} ${text(sel.to)}`;
    default:
      return 'this selection';
  }
}

/** Real names nearest to what was asked. */
function nearest(sel: Selection, g: Ground): string {
  const { sites } = g.sites;
  const rank = (want: string, names: Iterable<string>): string =>
    [...new Set(names)]
      .map((n) => ({ n, d: distance(want, n) }))
      .sort((a, b) => a.d - b.d || (a.n < b.n ? -1 : 1))
      .slice(0, 3)
      .map(({ n }) => n)
      .join(', ');
  switch (sel.kind) {
    case 'path': {
      const want = sel.glob ?? sel.re ?? '';
      return `The nearest paths are ${rank(
        want,
        sites.map((s) => s.path),
      )}. \`qc inspect\` lists them all; \`*\` is one name, \`**\` any number.`;
    }
    case 'role': {
      const names = sites.flatMap((s) => [s.role, ...s.members]);
      if (!names.length) return 'Nothing with a role was found in the model. `qc inspect --misses` says why.';
      return `The model has ${rank(sel.member === undefined ? sel.role : `${sel.role}.${sel.member}`, names)}. \`qc inspect\` lists all.`;
    }
    case 'op':
      return `Operators of its sites: ${rank(
        sel.type,
        sites.flatMap((s) => s.nodes.map((n) => n.op)),
      )}.`;
    case 'block':
      return `The model has ${g.sites.blocks.length} blocks, 0..${g.sites.blocks.length - 1}.`;
    case 'input':
      return `Inputs: ${g.model.graph.inputs.map((i) => i.name).join(', ')}.`;
    case 'output':
      return `Outputs: ${g.model.graph.outputs.map((o) => o.name).join(', ')}.`;
    case 'size':
      return `The largest weight has ${Math.max(0, ...sites.map((s) => s.size))} parameters.`;
    default:
      return '`qc explain` shows what each part matches; write optional(…) if it may be absent.';
  }
}
