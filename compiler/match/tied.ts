/** Groups of linears that an exporter may fuse: q, k, v and gate, up read one value inside one module. */
import type { Placed } from './find.ts';

const split = (path: string): readonly [string, string] => {
  const at = path.lastIndexOf('.');
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)];
};

/** The group's name for each linear that is in one: `linear:layers.0.self_attn.{q_proj,k_proj,v_proj}`. */
export function tiedGroups(placed: readonly Placed[], path: (p: Placed) => string): Map<Placed, string> {
  const groups = new Map<string, Placed[]>();
  for (const p of placed) {
    const input = p.draft.ports['input'];
    if (p.draft.role !== 'linear' || !input) continue;
    const key = JSON.stringify([p.view.path, p.view.origin(input.value), split(path(p))[0]]);
    groups.set(key, [...(groups.get(key) ?? []), p]);
  }
  const out = new Map<Placed, string>();
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const parent = split(path(group[0]!))[0];
    const name = `linear:${parent ? `${parent}.` : ''}{${group.map((p) => split(path(p))[1]).join(',')}}`;
    for (const p of group) out.set(p, name);
  }
  return out;
}
