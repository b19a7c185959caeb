/** Scales between q and k of one attention, tied where a rotary embedding turns channels in pairs. */
import type { View } from '../match/view.ts';
import type { Site } from '../sites.ts';
import { type Flow, follow } from './flow.ts';
import { type Digit, sameDigits } from './layout.ts';
import { Refusal, refuse } from './refuse.ts';
import { producing, type ScaleSet, widthOf } from './scale.ts';

/**
 * q and k of one attention: k' = k / λ, q' = λ q, so that the scores stay. Pairs that a rotary embedding turns together share their λ, and so do
 * the query heads of one key head.
 */
export function pairSet(view: View, sites: readonly Site[], q: Site, k: Site): ScaleSet {
  const name = `${q.path} <-> ${k.path}`;
  const attention = sites.find((s) => s.role === 'attention' && s.ports['q'] && s.ports['k'] && scoresOf(view, s, sites, q, k));
  if (!attention) return refuse('no-producer', `${name}: no attention multiplies them`);
  const [heads, kv, d] = ['heads', 'kv_heads', 'head_dim'].map((f) => attention.facts[f] as number | undefined);
  if (!heads || !kv || !d) return refuse('layout-lost', `${name}: heads and their size are not known`);
  const rope = attention.facts['rope'];
  const inner: Digit[] =
    rope === 'half'
      ? [
          { size: 2, stride: 0 },
          { size: d / 2, stride: 1 },
        ]
      : rope === 'interleaved'
        ? [
            { size: d / 2, stride: 1 },
            { size: 2, stride: 0 },
          ]
        : [{ size: d, stride: 1 }];
  const each = rope ? d / 2 : d;
  const products = scoreNodes(view, attention);
  const sides = (
    [
      [k, [{ size: kv, stride: each }, ...inner]],
      [q, [{ size: kv, stride: each }, { size: heads / kv, stride: 0 }, ...inner]],
    ] as const
  ).map(([site, digits]) => {
    const p = producing(view, site, digits);
    if (p.channels.length !== widthOf(view, p.value)) refuse('layout-lost', `${site.path} yields more than one of q, k, v`);
    return { site, p, flow: follow({ view, sites, sources: [p], kind: 'scale', takes: () => false, products }) };
  });
  const [ks, qs] = sides as [(typeof sides)[0], (typeof sides)[0]];
  for (const { flow } of sides) if (flow.blocked[0]) refuse(flow.blocked[0].reason, `${name}: ${flow.blocked[0].why}`);
  meets(name, qs.flow, ks.flow);
  return {
    name,
    producer: { site: k, channels: ks.p.channels },
    partner: { site: q, channels: qs.p.channels },
    readings: [],
    channels: kv * each,
    pinned: new Uint8Array(kv * each),
    values: new Map([...ks.flow.values, ...qs.flow.values]),
    caches: ks.flow.caches,
    same: qs.flow.meetings.map((m) => m.node.outputs[0]!),
  };
}

const scoreNodes = (v: View, attention: Site): ReadonlySet<Site['nodes'][number]> =>
  new Set(v.consumers(attention.ports['k']!.value).filter((n) => n.inputs.includes(attention.ports['q']!.value)));

/** Do both sides meet in the attention's scores? Tried by following plain scales. */
function scoresOf(view: View, attention: Site, sites: readonly Site[], q: Site, k: Site): boolean {
  const edge = sites.filter((s) => s === q || s === k);
  return (
    edge.length === 2 &&
    attention.nodes.length > 0 &&
    feeds(view, q, attention.ports['q']!.value) &&
    feeds(view, k, attention.ports['k']!.value)
  );
}

/** Is `value` computed from what the site yields? */
function feeds(v: View, site: Site, value: string): boolean {
  const target = site.ports['output']!.value;
  const floor = v.order(site.nodes.at(-1)!);
  const seen = new Set<string>();
  const stack = [value];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (at === target) return true;
    const n = v.producer(at);
    if (!n || seen.has(at) || v.order(n) < floor) continue;
    seen.add(at);
    stack.push(...n.inputs.filter((i) => i !== ''));
  }
  return false;
}

/** Every product is met by both, with the same channels along what it sums and the same heads. */
function meets(name: string, q: Flow, k: Flow): void {
  if (q.meetings.length === 0 || q.meetings.length !== k.meetings.length)
    refuse('mixes-channels', `${name}: they meet in no product of scores`);
  for (const a of q.meetings) {
    const b = k.meetings.find((m) => m.node === a.node);
    if (!b || a.side !== 0 || b.side !== 1) throw new Refusal('mixes-channels', `${name}: ${a.node.name} is not a product of both`);
    const summed = sameDigits(a.layout.axes.at(-1)!, b.layout.axes.at(-2)!);
    const batch = a.layout.axes.slice(0, -2).every((x, i) => sameDigits(x, b.layout.axes[i]!));
    if (!summed || !batch || a.layout.base !== b.layout.base) refuse('mixes-channels', `${name}: their channels differ where they meet`);
  }
}
