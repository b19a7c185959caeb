/** Where the exporter says that a node came from: module scopes in node names, metadata and initializer names. */
import type { Node } from '../graph/types.ts';

/** Names that exporters make up: they say nothing of a module. */
const GENERATED = /^(onnx::|val_|_v_|tmp|const|unsqueeze|neg|\d+$|initializer|tensor_?\d*$|.*ReadVariableOp|.*_output_\d+$)/;
const PARAMETER = /^(weight|bias|kernel|gamma|beta|scale|table|w|b|weight_\w+|in_proj_weight|in_proj_bias)(:\d+)?$/i;

/** `['', 'layers.0', 'layers.0.in_proj', 'linear']` → `layers.0.in_proj`; the last one is the traced call, not a module. */
function dynamoScope(n: Node): string | undefined {
  const text = n.metadata?.get('pkg.torch.onnx.name_scopes');
  const scopes = text ? [...text.matchAll(/'([^']*)'/g)].map((m) => m[1]!) : [];
  return scopes.length > 1 ? scopes.at(-2) : undefined;
}

/** `/m/blocks.0/mlp/mlp.0/MatMul` → `m.blocks.0.mlp.0`: a child of a Sequential repeats its parent's name. */
function legacyScope(n: Node): string | undefined {
  if (!n.name.startsWith('/')) return undefined;
  const out: string[] = [];
  for (const segment of n.name.split('/').slice(1, -1)) {
    const parent = out.at(-1);
    if (parent && segment.startsWith(`${parent}.`)) out[out.length - 1] = segment;
    else out.push(segment);
  }
  return out.join('.');
}

/** `bert/encoder/layer_0/attention/MatMul` → `bert.encoder.layer_0.attention`. */
function slashScope(n: Node): string | undefined {
  const parts = n.name.split('/').filter((s) => s !== '' && s !== 'StatefulPartitionedCall');
  const last = parts.pop();
  if (!last || parts.length === 0 || !last.toLowerCase().startsWith(n.op.toLowerCase().slice(0, 4))) return undefined;
  return parts.join('.');
}

/** The module that a node was called in; '' is the root module, undefined that nothing is said. */
export function scope(n: Node): string | undefined {
  return dynamoScope(n) ?? legacyScope(n);
}

/** The module that owns a parameter: `model.layers.0.mlp.up_proj.weight` → `model.layers.0.mlp.up_proj`. */
export function owner(initializer: string, op: string): string | undefined {
  if (GENERATED.test(initializer)) return undefined;
  const parts = initializer.includes('/') ? initializer.split('/') : initializer.split('.');
  if (parts.length === 1) return /^(.+)_(weight|kernel|w)$/i.exec(initializer)?.[1];
  if (!PARAMETER.test(parts.at(-1)!)) return undefined;
  parts.pop();
  if (parts.at(-1) === op) parts.pop();
  return parts.filter((s) => s !== '').join('.') || undefined;
}

/** The best module path for a site: its main node's scope, made more exact by the names of parameters that are its alone. */
export function modulePath(main: readonly Node[], op: string, parameters: readonly string[]): string | undefined {
  const scopes = main.map(scope).filter((s) => s !== undefined);
  const counts = new Map<string, number>();
  for (const s of scopes) counts.set(s, (counts.get(s) ?? 0) + 1);
  const [called] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
  const owners = parameters.map((p) => owner(p, op)).filter((s) => s !== undefined);
  const exact = owners.find((o) => called === undefined || called === '' || o.startsWith(`${called}.`));
  return exact ?? (called || main.map(slashScope).find((s) => s !== undefined)) ?? undefined;
}

const isNumber = (s: string | undefined): boolean => s !== undefined && /^\d+$/.test(s);

/** `a.layers` of paths `a.layers.0.x`, `a.layers.1.x`: containers whose numbered children have inner structure in common. */
export function repeated(paths: readonly string[]): string[] {
  const children = new Map<string, Map<string, Set<string>>>();
  for (const p of paths) {
    const parts = p.split('.');
    const i = parts.findIndex((s, at) => at > 0 && isNumber(s) && at < parts.length - 1);
    if (i < 1) continue;
    const container = parts.slice(0, i).join('.');
    const numbers = children.get(container) ?? new Map<string, Set<string>>();
    children.set(container, numbers);
    const rests = numbers.get(parts[i]!) ?? new Set<string>();
    numbers.set(parts[i]!, rests);
    rests.add(parts.slice(i + 1).join('.'));
  }
  const alike = (numbers: Map<string, Set<string>>) => {
    const seen = new Set<string>();
    return [...numbers.values()].some((rests) => {
      const again = [...rests].some((r) => seen.has(r));
      for (const r of rests) seen.add(r);
      return again;
    });
  };
  return [...children].filter(([, numbers]) => numbers.size > 1 && alike(numbers)).map(([c]) => c);
}

/**
 * Drops wrappers: a first segment that all paths share, and the one backbone (a first segment that holds the repeated blocks
 * and more, `model.layers.0…` beside `model.norm`) when no other path has its children's names.
 */
export function unwrap(paths: readonly string[]): (path: string) => string {
  const dropped: string[] = [];
  let now = [...new Set(paths)];
  for (;;) {
    const heads = new Set(now.map((p) => p.split('.')[0]!));
    const inside = (h: string) => now.filter((p) => p.startsWith(`${h}.`));
    const removable = (h: string) => inside(h).every((p) => !isNumber(p.split('.')[1]));
    let head: string | undefined;
    if (heads.size === 1 && now.length > 1) {
      const [only] = heads;
      if (inside(only!).length === now.length && removable(only!)) head = only;
    } else {
      const backbones = [...heads].filter((h) => removable(h) && repeated(inside(h).map((p) => p.slice(h.length + 1))).length > 0);
      const all = [...heads].filter((h) => repeated(inside(h)).length > 0);
      const h = backbones[0];
      if (h !== undefined && backbones.length === 1 && all.length === 1) {
        const children = new Set(inside(h).map((p) => p.split('.')[1]!));
        const clear = [...children].every((c) => !heads.has(c));
        if (children.size > 1 && clear && !now.includes(h)) head = h;
      }
    }
    if (head === undefined) break;
    const h = head;
    dropped.push(h);
    now = now.map((p) => (p.startsWith(`${h}.`) ? p.slice(h.length + 1) : p));
  }
  return (path) => dropped.reduce((p, h) => (p === h ? '' : p.startsWith(`${h}.`) ? p.slice(h.length + 1) : p), path);
}
