/** Which operators a target would emit for a plan, without any number: static scales are placeholders, weights are lazy. */
import type { Lowered, Target } from '../define.ts';
import type { Model } from '../graph/types.ts';
import type { Plan } from '../plan/types.ts';
import { middle } from '../simulate/params.ts';
import { simulated } from './encode.ts';
import { refusals } from './target.ts';

/** What each site becomes; nothing where the target refuses a type. */
export async function emittedBy(plan: Plan, model: Model, target: Target, args: Record<string, unknown>): Promise<Lowered['emitted']> {
  if (refusals(plan, target).length) return [];
  const s = await simulated(plan, model, async (v) =>
    v.type.mode === 'static' && v.type.codes ? { ...v, scale: Float32Array.of(1), zero: Float32Array.of(middle(v.type)) } : v,
  );
  return (await target.lower(s, args as never)).emitted;
}
