/** Decides every slot of a model: which statement gives which port its type. */
import type { Model } from '../graph/types.ts';
import type { Binding, Recipe, Statement } from '../recipe.ts';
import type { Site, Sites } from '../sites.ts';
import { deciderOf, flatten, type Params, type Scoped } from './apply.ts';
import { dataOf, evaluate, failAt, mapFields, refOf, type Scope, truth, type Val } from './bind.ts';
import { type Asked, isKernel, type Names, reduceOf, resolveType, withDefaults } from './resolve.ts';
import { type Part, schemes } from './schemes.ts';
import { type Ground, select } from './select.ts';
import { planSolves } from './solves.ts';
import { checkTies } from './ties.ts';
import { marked, planTransforms } from './transforms.ts';
import type { Decider, Plan, QType, Slot, Untouched } from './types.ts';
import { type Search, variablesOf } from './variables.ts';
import { wordIn, wordRef } from './words.ts';

export interface PlanInput {
  readonly recipe: Recipe;
  readonly model: Model;
  readonly sites: Sites;
  readonly names: Names;
  /** `--param k=v`. */
  readonly params?: Params;
  /** Values of variables; those that are absent take the first value of their domain. */
  readonly binding?: Binding;
  /** Statements that are left out, as if nobody had written them. */
  readonly without?: ReadonlySet<Statement>;
}

/** A plan with the searches that are still to run and the binding that it was made under. */
export interface Planned extends Plan {
  readonly nested: readonly Search[];
  readonly binding: Binding;
  /** Scope of the recipe itself, to evaluate `require` and budgets in. */
  readonly scope: Scope;
}

interface Decision {
  readonly by: Decider;
  readonly depth: number;
  readonly keep: boolean;
  /** undefined: stays float. */
  readonly type?: QType;
  readonly free: boolean;
}
type Of<V extends Statement['verb']> = Scoped<Extract<Statement, { verb: V }>>;

/** Plans a recipe on a model. Every error of meaning comes from here, each at its statement. */
export function plan(input: PlanInput): Planned {
  const bareGround: Ground = { model: input.model, sites: input.sites };
  const params = input.params ?? {};
  const flat = (binding: Binding) => flatten(input.recipe, params, binding).filter((s) => !input.without?.has(s.statement));
  const bare = flat({});
  const variables = variablesOf(bare, bareGround, params, input.binding);
  const statements = flat(variables.start);
  const transforms = planTransforms(
    statements.filter((s) => isA(s, 'transform')),
    bareGround,
    input.names.transforms ?? [],
  );
  const sites = marked(input.sites, transforms, input.names.transforms ?? []);
  const ground: Ground = { model: input.model, sites };
  const decisions = new Map<string, Decision[]>();
  const off = new Map<string, Decider>();
  for (const s of statements) {
    if (isA(s, 'quantize')) quantize(s, ground, input.names, decisions, off);
    else if (isA(s, 'keep')) keep(s, ground, input.names, decisions);
    else if (isA(s, 'prune') || isA(s, 'schedule')) failAt('planned', `\`${s.statement.verb}\` is not built yet.`, s.statement.span);
  }
  const { slots, untouched } = settle(sites, decisions, off);
  const calibrate = statements.filter((s) => isA(s, 'calibrate')).at(-1);
  const target = statements.filter((s) => isA(s, 'target')).at(-1);
  return {
    recipe: input.recipe.name,
    version: input.recipe.version,
    sites,
    slots,
    untouched,
    transforms,
    solves: planSolves(
      statements.filter((s) => isA(s, 'solve')),
      ground,
      slots,
      input.names.solvers ?? [],
    ),
    searches: flattenSearches(variables.searches),
    nested: variables.searches,
    binding: variables.start,
    scope: statements.find((s) => s.depth === 0)?.scope ?? {
      recipe: input.recipe,
      prefix: '',
      params: new Map(),
      binding: {},
      domains: new Map(),
    },
    requires: statements
      .filter((s) => isA(s, 'require'))
      .map((s) => ({ condition: s.statement.condition, scope: s.scope, by: deciderOf(s) })),
    evaluations: statements
      .filter((s) => isA(s, 'evaluate'))
      .map((s) => ({ what: s.statement.what, fields: s.statement.fields, scope: s.scope, by: deciderOf(s) })),
    ...(calibrate
      ? {
          calibration: {
            source: wordRef(evaluate(calibrate.statement.source, calibrate.scope), calibrate.statement.source),
            fields: dataFields(mapFields(calibrate.statement.fields, calibrate.scope)),
            by: deciderOf(calibrate),
          },
        }
      : {}),
    ...(target ? { target: { name: target.statement.name, args: dataFields(mapFields(target.statement.fields, target.scope)) } } : {}),
  };
}

const isA = <V extends Statement['verb']>(s: Scoped, verb: V): s is Of<V> => s.statement.verb === verb;
const dataFields = (fields: Readonly<Record<string, Val>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, dataOf(v)]));
const flattenSearches = (list: readonly Search[]): Plan['searches'] => list.flatMap((s) => [...flattenSearches(s.inner), s]);

const slotKey = (site: Site, port: string): string => `${site.id}\n${port}`;
function push(decisions: Map<string, Decision[]>, site: Site, port: string, d: Decision): void {
  const key = slotKey(site, port);
  decisions.set(key, [...(decisions.get(key) ?? []), d]);
}

function quantize(s: Of<'quantize'>, ground: Ground, names: Names, decisions: Map<string, Decision[]>, off: Map<string, Decider>): void {
  const { statement, scope, within } = s;
  const { sites } = select(statement.of, ground, within);
  const spoken = new Set<string>();
  const wanted = new Set<string>();
  for (const site of sites) {
    const unit: Scope = { ...scope, unit: site.tied };
    if (statement.when && !truth(statement.when, unit)) {
      for (const port of statement.ports ?? Object.keys(site.ports)) off.set(slotKey(site, port), deciderOf(s));
      for (const port of statement.ports ?? []) spoken.add(port);
      continue;
    }
    for (const { port, asked } of asksOf(s, site, unit)) {
      wanted.add(port);
      const found = site.ports[port];
      if (!found) continue;
      spoken.add(port);
      const type = resolveType(asked, site, found, names);
      push(decisions, site, port, { by: deciderOf(s), depth: s.depth, keep: false, type, free: wordIn(asked.fields['tie']) === 'none' });
    }
  }
  for (const port of wanted)
    if (!spoken.has(port))
      failAt(
        'no-port',
        `No site that is selected here has a port \`${port}\`.`,
        statement.span,
        `They have ${[...new Set(sites.flatMap((x) => Object.keys(x.ports)))].join(', ')}.`,
      );
}

/** The ports that a statement speaks of, with what each is asked to be: given, or the parts of a scheme. */
function asksOf(s: Of<'quantize'>, site: Site, scope: Scope): { port: string; asked: Asked }[] {
  const { ports, as, span } = s.statement;
  const fields = mapFields(s.statement.fields, scope);
  const value = evaluate(as, scope);
  if (value.kind !== 'ref') return failAt('not-a-type', 'A format or a scheme is needed after `as`.', as.span);
  const scheme = schemes.find((x) => x.name === value.name);
  if (!scheme) {
    if (!ports)
      return failAt('needs-ports', `\`${value.name}\` is a format: say of which port.`, span, `\`quantize weight of … as ${value.name}\`.`);
    return ports.map((port) => ({ port, asked: { format: value, fields, span } }));
  }
  // `W4A16 { group: 32 }` is `W4A16(group: 32)`; what is not the scheme's own refines its weight.
  const own = (k: string) => scheme.params[k] !== undefined || Object.values(scheme.params).some((x) => x.aliases?.includes(k));
  const [given, rest] = [true, false].map((mine) => Object.fromEntries(Object.entries(fields).filter(([k]) => own(k) === mine))) as [
    Record<string, Val>,
    Record<string, Val>,
  ];
  const parts = scheme.parts(withDefaults(scheme.params, { ...refOf(value).args, ...dataFields(given) }) as never);
  return parts
    .flatMap((p) => p.ports.map((port) => ({ port, p: site.role === 'conv' && p.kernel ? { ...p, ...p.kernel } : p })))
    .filter(({ port }) => !ports || ports.includes(port))
    .map(({ port, p }) => ({
      port,
      asked: {
        format: { kind: 'ref', of: 'format', ...p.format },
        fields: port === 'weight' ? refine(inChannels(p.fields, site), rest) : { ...p.fields, ...pick(rest, 'tie') },
        scheme: scheme.name,
        span,
      },
    }));
}

/** The groups of a scheme are for matrices that are longer than a group; a kernel or a short reduction has a scale for each output channel. */
function inChannels(fields: Part['fields'], site: Site): Part['fields'] {
  const port = site.ports['weight'];
  const group = fields['group'];
  if (!port || group?.kind !== 'number' || !(isKernel(port) || (reduceOf(port) ?? group.value) < group.value)) return fields;
  return { ...Object.fromEntries(Object.entries(fields).filter(([k]) => k !== 'group')), per: { kind: 'string', value: 'channel' } };
}

const pick = (fields: Record<string, Val>, name: string): Record<string, Val> => (fields[name] ? { [name]: fields[name] } : {});
/** A scheme's part under the statement's fields: one granularity replaces another, `W8A16 { group: 64 }` is no longer per channel. */
function refine(part: Part['fields'], fields: Record<string, Val>): Record<string, Val> {
  const grains = ['per', 'group', 'block'];
  const regrained = grains.some((k) => fields[k]);
  return { ...Object.fromEntries(Object.entries(part).filter(([k]) => !(regrained && grains.includes(k)))), ...fields };
}

function keep(s: Of<'keep'>, ground: Ground, names: Names, decisions: Map<string, Decision[]>): void {
  const { statement, scope, within } = s;
  const { sites } = select(statement.of, ground, within);
  const by = deciderOf(s);
  const at = statement.at ? evaluate(statement.at, scope) : undefined;
  if (at && at.kind !== 'ref') failAt('not-a-type', '`keep … at` takes a float type, such as float16.', statement.span);
  let weights = 0;
  for (const site of sites)
    for (const port of Object.values(site.ports)) {
      const cast = at?.kind === 'ref' && port.kind === 'weight';
      if (cast) weights++;
      const type = cast ? resolveType({ format: at, fields: {}, span: statement.span }, site, port, names) : undefined;
      if (type?.codes)
        failAt('keep-at', `\`${type.format.name}\` has codes; \`keep\` casts to a float type.`, statement.span, 'Write `quantize … as …`.');
      push(decisions, site, port.name, { by, depth: s.depth, keep: true, free: true, ...(type ? { type } : {}) });
    }
  if (at && weights === 0)
    failAt('no-port', 'No site that is kept here has a weight to cast.', statement.span, 'Write `keep …` without `at`.');
}

/** The winner of each slot: a `keep` before all else, then the latest. */
function settle(
  sites: Sites,
  decisions: ReadonlyMap<string, Decision[]>,
  off: ReadonlyMap<string, Decider>,
): { slots: Slot[]; untouched: Untouched[] } {
  const slots: Slot[] = [];
  const untouched: Untouched[] = [];
  const free = new Set<Slot>();
  for (const site of sites.sites)
    for (const port of Object.keys(site.ports)) {
      const key = slotKey(site, port);
      const list = decisions.get(key) ?? [];
      const winner = list.filter((d) => d.keep).at(-1) ?? list.at(-1);
      if (!winner) {
        const by = off.get(key);
        untouched.push({ site, port, why: by ? 'its condition does not hold' : 'no statement speaks of it', ...(by ? { by } : {}) });
        continue;
      }
      const shadowed = list.filter((d) => d !== winner).map((d) => d.by);
      if (!winner.type) {
        untouched.push({ site, port, why: 'kept', by: winner.by, ...(shadowed.length ? { shadowed } : {}) });
        continue;
      }
      const slot: Slot = { site, port, what: 'type', type: winner.type, by: winner.by, shadowed };
      slots.push(slot);
      if (winner.free) free.add(slot);
    }
  checkTies(slots, free);
  return { slots, untouched };
}
