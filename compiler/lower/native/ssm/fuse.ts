/** State-space models: each Scan and each convolution with a state as one operator, with the rounding of its ports inside. */
import type { Lowered } from '../../../define.ts';
import type { Simulated } from '../../../simulated.ts';
import { Editor } from '../../editor.ts';
import { type FusedConv, fuseConv } from './conv.ts';
import { declareStates } from './declare.ts';
import { type FusedScan, fuseScan } from './scan.ts';
import { isByte } from './step.ts';
import { isShifted } from './tables.ts';

/** The simulated level with these operators in its graph, and what is to be said of them when the rest is lowered. */
export interface WithStates {
  readonly simulated: Simulated;
  /** Adds what the operators need to the lowered model: their bodies, and what each site became. */
  finish(lowered: Lowered): Lowered;
}

export function fuseStates(s: Simulated): WithStates {
  const sites = s.sites.sites.filter((x) => x.role === 'ssm' || (x.role === 'conv' && x.facts['depthwise'] === true));
  const unchanged = { simulated: s, finish: (l: Lowered) => l };
  if (sites.length === 0 || (s.model.opsets.get('') ?? 0) < 13) return unchanged;
  const e = new Editor(s.model);
  const scans = new Map<string, FusedScan>();
  const convs = new Map<string, FusedConv>();
  const encoded = (id: string) => s.weights.find((w) => w.site.id === id);
  // One body serves the weights of a model, which are codes of all of them or of none.
  const all = sites.filter((x) => x.role === 'conv').map((x) => encoded(x.id) !== undefined);
  const uniform = new Set(all).size <= 1;
  const ids = new Set(sites.map((x) => x.id));
  const bounded = s.values.some((q) => ids.has(q.site.id) && isByte(q) && isShifted(q));
  for (const site of sites) {
    if (site.role === 'ssm') {
      const f = fuseScan(e, site, s.values, bounded);
      if (f) scans.set(site.id, f);
    } else if (uniform) {
      const f = fuseConv(e, site, s.values, encoded(site.id), bounded);
      if (f) convs.set(site.id, f);
    }
  }
  if (scans.size + convs.size === 0) return unchanged;
  const taken = new Set([...scans.values(), ...convs.values()].flatMap((f) => f.taken));
  const simulated: Simulated = {
    ...s,
    model: e.finish(),
    values: s.values.filter((v) => !taken.has(v)),
    weights: s.weights.filter((w) => !convs.has(w.site.id)),
  };
  return {
    simulated,
    finish: ({ model, emitted }) => {
      const notes = [...scans, ...convs].map(([site, f]) => ({ site, ops: [f.op], initializers: [...f.initializers] }));
      return { model: declareStates(model), emitted: [...emitted, ...notes] };
    },
  };
}
