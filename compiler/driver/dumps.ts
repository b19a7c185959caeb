/** Text dumps of the phases. */
import { parse } from '../../grammar/parser.ts';
import type { Lowered } from '../define.ts';
import { printModel } from '../graph/print.ts';
import { type Explanation, explanationText } from './explanation.ts';
import type { Source } from './model.ts';
import type { Read } from './recipe.ts';
import type { Dump } from './types.ts';

interface Phases {
  readonly read: Read;
  readonly explanation: Explanation;
  readonly source: Source;
  readonly lowered: Lowered;
}

/** JSON without spans; maps as objects. */
const plain = (value: unknown): string =>
  `${JSON.stringify(value, (key, v: unknown) => (key === 'span' ? undefined : v instanceof Map ? Object.fromEntries(v) : v), 2)}\n`;

export function dumpsOf(wanted: readonly Dump[], p: Phases): Partial<Record<Dump, string>> {
  const make: Record<Dump, () => string> = {
    ast: () => plain(parse(p.read.text, p.read.file).ast),
    recipe: () => plain(p.read.recipe),
    plan: () => explanationText(p.explanation),
    graph: () => printModel(p.source.model),
    lowered: () => printModel(p.lowered.model),
  };
  return Object.fromEntries(wanted.map((d) => [d, make[d]()]));
}
