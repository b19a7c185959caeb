/** Lowering: each site by the first rule of the target that applies; activations that no rule takes are quantized where they are. */
import type { Lowered } from '../define.ts';
import type { QuantizedValue, Simulated } from '../simulated.ts';
import { lowerValues, valueOpset } from './activations.ts';
import { Lowering, type Rule, works } from './lowering.ts';

/** Lowers a simulated model by a target's rules. Nothing is computed: emitted weights are lazy. Errors: opset-raise. */
export function lower(s: Simulated, rules: readonly Rule[]): Lowered {
  const l = new Lowering(s);
  const chosen = works(l, s).map((work) => {
    const rule = rules.find((r) => r.applies(work));
    if (!rule) throw new Error(`${work.site.id}: no rule lowers ${work.weight.type.text}`);
    return { work, rule };
  });
  const needed = [...chosen.map(({ work, rule }) => rule.opset(work)), ...s.values.map(valueOpset)];
  l.editor.raise(Math.max(0, ...needed));
  const taken = new Set<QuantizedValue>();
  for (const { work, rule } of chosen) if (work.input && rule.takesInput?.(work)) taken.add(work.input);
  lowerValues(l, s, taken);
  for (const { work, rule } of chosen) rule.emit(l, work);
  const emitted = [...l.emitted].map(([site, x]) => ({ site, ops: [...x.ops], initializers: [...x.initializers] }));
  return { model: l.editor.finish(), emitted };
}
