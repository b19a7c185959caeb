/** Members of a fused group (q, k, v; gate, up) have one type, unless a statement says `tie: none`. */
import { failAt } from './bind.ts';
import type { Slot } from './types.ts';

/** Error `tied-conflict` where two members of a tied group got different types. `free`: slots whose statement unties them. */
export function checkTies(slots: readonly Slot[], free: ReadonlySet<Slot>): void {
  const first = new Map<string, Slot>();
  for (const slot of slots) {
    if (free.has(slot) || !slot.type) continue;
    const key = `${slot.site.tied}\n${slot.port}`;
    const other = first.get(key);
    if (!other) {
      first.set(key, slot);
      continue;
    }
    if (other.type!.text === slot.type.text) continue;
    failAt(
      'tied-conflict',
      `${other.site.path} and ${slot.site.path} are one fused group, but ${other.site.path} is ${other.type!.text} and the other is ${slot.type.text}.`,
      slot.by.span,
      'Give the whole group one type, or write { tie: none } on both statements.',
      { related: [{ message: `${other.site.path} is decided here`, span: other.by.span }] },
    );
  }
}
