/** The law of a level, checked after the arrow that makes it: a breach is a bug of ours, found before a session or a user finds it. */
import { breaches, type Level } from '../graph/legality.ts';
import type { Model } from '../graph/types.ts';

/** The model itself. Error: one that names the arrow and what it broke. */
export function lawful(model: Model, level: Level, arrow: string): Model {
  const found = breaches(model, level);
  if (found.length) throw new Error(`${arrow} left an illegal graph: ${found.slice(0, 5).join('; ')}`);
  return model;
}
