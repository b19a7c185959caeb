import type { ScaleLaw } from '../crunch.ts';
import { laws } from '../laws/index.ts';
import type { Ref, Schema } from '../schema.ts';

/** The crunch's form of a scale law that a recipe named; missing parameters take their defaults. */
export function lawOf(ref: Ref): ScaleLaw {
  const law = laws.find((l) => l.name === ref.name);
  if (!law) throw new Error(`no scale law is named ${ref.name}`);
  const schema: Schema = law.params;
  const defaults = Object.fromEntries(Object.entries(schema).map(([k, p]) => [k, p.default]));
  return (law.crunch as (p: Record<string, unknown>) => ScaleLaw)({ ...defaults, ...ref.args });
}
