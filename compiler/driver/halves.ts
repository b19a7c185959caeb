/** Looks for the parts of a whole that cost most, without trying each: a group is halved as long as it costs more than what was found. */

/** A part and what the whole gains when it alone is left out. */
export interface Culprit<P> {
  readonly part: P;
  readonly cost: number;
}

/**
 * The `top` parts of largest cost, largest first. `cost` measures what leaving a group out gains. Exact where costs add up; parts that only hurt
 * together are found as long as one of their groups is among the dearest.
 */
export async function dearest<P>(parts: readonly P[], top: number, cost: (group: readonly P[]) => Promise<number>): Promise<Culprit<P>[]> {
  const open: { group: readonly P[]; cost: number }[] = [{ group: parts, cost: Number.POSITIVE_INFINITY }];
  const found: Culprit<P>[] = [];
  while (open.length > 0 && found.length < top) {
    open.sort((a, b) => b.cost - a.cost);
    const { group, cost: known } = open.shift()!;
    if (group.length === 0) continue;
    if (group.length === 1) {
      found.push({ part: group[0]!, cost: known === Number.POSITIVE_INFINITY ? await cost(group) : known });
      continue;
    }
    const middle = group.length >> 1;
    for (const half of [group.slice(0, middle), group.slice(middle)]) open.push({ group: half, cost: await cost(half) });
  }
  return found.sort((a, b) => b.cost - a.cost);
}
