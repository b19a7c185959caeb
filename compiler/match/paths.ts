/** Canonical module paths: from the exporter's scopes where it gives them, else from the structure. Unique within a role, and stable. */
import type { Draft } from './draft.ts';
import type { Placed } from './find.ts';
import { modulePath, unwrap } from './names.ts';
import { numberBlocks } from './numbering.ts';

/** Roles that are made of others: their path may be a module that holds other sites. */
const COMPOSITE = new Set(['attention', 'mlp', 'ssm', 'softmax', 'residual', 'branch', 'temporal', 'rope']);

/** Names of the field for what a membership says. */
const LEAF: Readonly<Record<string, string>> = {
  'attention.q': 'self_attn.q_proj',
  'attention.k': 'self_attn.k_proj',
  'attention.v': 'self_attn.v_proj',
  'attention.output': 'self_attn.o_proj',
  'mlp.gate': 'mlp.gate_proj',
  'mlp.up': 'mlp.up_proj',
  'mlp.down': 'mlp.down_proj',
  'ssm.input': 'mixer.in_proj',
  'ssm.dt': 'mixer.dt_proj',
  'ssm.B': 'mixer.x_proj',
  'ssm.output': 'mixer.out_proj',
  'ssm.conv': 'mixer.conv1d',
  head: 'lm_head',
};

function leaf(p: Placed): string {
  const fused = ['attention.q', 'attention.k', 'attention.v'].filter((m) => p.members.includes(m));
  const cross = p.members.includes('attention.cross');
  const key = Object.keys(LEAF).find((m) => p.members.includes(m));
  const name = fused.length > 1 ? `self_attn.${fused.map((m) => m.at(-1)).join('')}_proj` : key ? LEAF[key]! : undefined;
  if (name) return cross ? name.replace('self_attn', 'cross_attn') : name;
  if (p.draft.role === 'embedding') return 'embed_tokens';
  return p.draft.role === 'activation' ? p.draft.form.toLowerCase() : p.draft.role;
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')));
/** The longest module path that all paths begin with. */
function common(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((p) => p.split('.'));
  const end = first.findIndex((s, i) => others.some((o) => o[i] !== s));
  return first.slice(0, end < 0 ? Math.max(0, first.length - 1) : end).join('.');
}

const PLUMBING = new Set(['Transpose', 'Identity', 'Cast', 'Constant']);

function exporterPath(p: Placed, shared: ReadonlyMap<string, readonly Placed[]>): string | undefined {
  const { draft } = p;
  if (draft.role === 'residual' && new Set(draft.nodes.map((n) => modulePath([n], n.op, []))).size > 1) return undefined;
  const work = draft.nodes.filter((n) => !PLUMBING.has(n.op));
  // a table belongs to the embedding, not to a head that shares it
  const alone = (w: string) => (shared.get(w) ?? []).every((q) => q === p || (draft.role === 'embedding' && q.draft.role !== 'embedding'));
  const { gain } = draft.facts;
  const own = [draft.ports['weight']?.value, typeof gain === 'string' ? gain : undefined, draft.bias].filter(
    (w) => w !== undefined && alone(w),
  );
  return modulePath(work.length ? work : draft.nodes, work[0]?.op ?? '', own as string[]);
}

/** Gives every draft its path (and its block). */
export function nameDrafts(
  placed: readonly Placed[],
  shared: ReadonlyMap<string, readonly Placed[]>,
): { paths: Map<Placed, string>; blockOf: Map<Placed, number> } {
  const raw = new Map(placed.map((p) => [p, exporterPath(p, shared)]));
  const weights = placed.filter((p) => p.draft.ports['weight']);
  const named = placed.filter((p) => p.draft.ports['weight'] || p.draft.role === 'norm').map((p) => raw.get(p));
  const strip = unwrap(named.filter((s) => s !== undefined).filter((s) => s !== ''));
  const paths = new Map(placed.map((p) => [p, strip(raw.get(p) ?? '')]));
  const containers = new Set<string>();
  for (const p of weights) for (let at = parent(paths.get(p)!); at !== ''; at = parent(at)) containers.add(at);
  const draftOf = new Map<Draft, Placed>(placed.map((p) => [p.draft, p]));

  for (const p of placed) {
    const path = paths.get(p)!;
    if (p.draft.parts?.length) {
      const around = common(p.draft.parts.map((d) => paths.get(draftOf.get(d)!) ?? ''));
      if (around !== '') paths.set(p, /(^|\.)\d+$/.test(around) ? `${around}.${p.draft.role}` : around);
    } else if (!COMPOSITE.has(p.draft.role) && containers.has(path)) {
      const own = leaf(p);
      paths.set(p, `${path}.${/\.\d+$/.test(path) ? own : own.split('.').at(-1)}`);
    }
  }
  const blockOf = numberBlocks(placed, (p) => paths.get(p)!);
  for (const p of placed) {
    if (paths.get(p) !== '') continue;
    const block = blockOf.get(p);
    paths.set(p, `${block === undefined ? '' : `layers.${block}.`}${leaf(p)}`);
  }
  number(placed, paths);
  return { paths, blockOf };
}

/** Sites of one role and path get `.0`, `.1`, … in order. */
function number(placed: readonly Placed[], paths: Map<Placed, string>): void {
  const same = new Map<string, Placed[]>();
  for (const p of placed) {
    const key = `${p.draft.role}:${paths.get(p)!}`;
    same.set(key, [...(same.get(key) ?? []), p]);
  }
  const taken = new Set(same.keys());
  for (const [key, group] of same) {
    if (group.length < 2) continue;
    let i = 0;
    for (const p of group) {
      while (taken.has(`${key}.${i}`)) i++;
      taken.add(`${key}.${i}`);
      paths.set(p, `${paths.get(p)!}.${i}`);
    }
  }
}
