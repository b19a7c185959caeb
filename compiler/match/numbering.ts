/** Which block a site lies in: by the exporter's numbered containers, else by its modules, else by the residual branches. */
import type { Node } from '../graph/types.ts';
import type { Placed } from './find.ts';
import { repeated } from './names.ts';

type Blocks = Map<Placed, number>;

/** Numbers keys in the order in which they first run. */
function numbered(placed: readonly Placed[], counts: (p: Placed) => boolean, key: (p: Placed) => string | undefined): Blocks {
  const index = new Map<string, number>();
  for (const p of placed) {
    const k = counts(p) ? key(p) : undefined;
    if (k !== undefined && !index.has(k)) index.set(k, index.size);
  }
  const out: Blocks = new Map();
  for (const p of placed) {
    const n = index.get(key(p) ?? '');
    if (n !== undefined) out.set(p, n);
  }
  return out;
}

const isWeight = (p: Placed): boolean => p.draft.role === 'linear' || p.draft.role === 'conv';
/** What only the step or the class feeds is not part of the main path. */
const beside = (p: Placed): boolean => p.members.includes('temporal') || p.members.includes('conditioning');

/** `layers.3.…` of a container whose numbered children are alike. */
function byContainer(placed: readonly Placed[], path: (p: Placed) => string): Blocks {
  const containers = repeated(placed.filter(isWeight).map(path));
  return numbered(placed, isWeight, (p) => {
    const c = containers.find((x) => path(p).startsWith(`${x}.`));
    return c === undefined
      ? undefined
      : `${c}.${
          path(p)
            .slice(c.length + 1)
            .split('.')[0]
        }`;
  });
}

/** Top-level modules that hold two weights or more: the stages of a ResNet or UNet without numbered containers. */
function byModule(placed: readonly Placed[], path: (p: Placed) => string): Blocks {
  const head = (p: Placed) => (path(p) === '' ? undefined : path(p).split('.')[0]!);
  const count = new Map<string, number>();
  for (const p of placed) {
    const h = isWeight(p) && !beside(p) && path(p).includes('.') ? head(p) : undefined;
    if (h !== undefined) count.set(h, (count.get(h) ?? 0) + 1);
  }
  const modules = new Set([...count].filter(([, n]) => n > 1).map(([h]) => h));
  if (modules.size < 2) return new Map();
  return numbered(
    placed,
    (p) => isWeight(p) && modules.has(head(p) ?? ''),
    (p) => (modules.has(head(p) ?? '') ? head(p) : undefined),
  );
}

/** The shortest period with which the branches repeat: attention, mlp, attention, mlp … is 2. */
function period(signatures: readonly string[]): number {
  for (let p = 1; p <= signatures.length / 2; p++) {
    if (signatures.length % p === 0 && signatures.every((s, i) => i < p || s === signatures[i - p])) return p;
  }
  return 1;
}

/** Runs of branches of one stream after the other, cut where they repeat. */
function byBranch(placed: readonly Placed[]): Blocks {
  const branches = placed.filter((p) => p.draft.role === 'branch' && p.view.path === '');
  if (branches.length < 2) return new Map();
  const roles = (b: Placed) => (b.draft.parts ?? []).map((d) => `${d.role}${placed.find((p) => p.draft === d)?.members.join()}`).join(' ');
  const every = period(branches.map(roles));
  const block = new Map<Node, number>();
  branches.forEach((b, i) => {
    for (const n of b.draft.nodes) if (!block.has(n)) block.set(n, Math.floor(i / every));
  });
  // a norm behind the sum belongs to the block before it where the next branch reads the norm, not the sum
  const read = new Set(branches.map((b) => b.draft.ports['input']!.value));
  const sums = new Map(branches.map((b, i) => [String(b.draft.facts['sum']), Math.floor(i / every)]));
  const norms = placed.filter((p) => p.draft.role === 'norm' && p.view.path === '');
  const post = norms.some((p) => read.has(p.draft.ports['output']!.value) && sums.has(p.draft.ports['input']!.value));
  if (post)
    for (const p of norms) for (const n of p.draft.nodes) block.set(n, block.get(n) ?? sums.get(p.draft.ports['input']!.value) ?? -1);
  const out: Blocks = new Map();
  for (const p of placed) {
    const at = p.draft.role === 'residual' ? undefined : block.get(p.draft.nodes.at(-1)!);
    const n = at === -1 ? undefined : at;
    if (n !== undefined) out.set(p, n);
  }
  return out;
}

/** Block numbers from 0, in the order in which the blocks run; sites outside have none. */
export function numberBlocks(placed: readonly Placed[], path: (p: Placed) => string): Blocks {
  const first = byContainer(placed, path);
  if (first.size > 0) return first;
  const second = byModule(placed, path);
  return second.size > 0 ? second : byBranch(placed);
}
