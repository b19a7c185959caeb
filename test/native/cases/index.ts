/** Cases of every operator of qc.v1: a new one is a line of a family here. */
import attention, { attentionSizes, plain } from './attention.ts';
import type { Case, Size } from './case.ts';
import linear from './linear.ts';
import norms from './norms.ts';
import pointwise from './pointwise.ts';
import recurrent from './recurrent.ts';

const families = [linear, norms, attention, plain, recurrent, pointwise];

/** The case of an operator; undefined where nobody wrote one. */
export function caseOf(name: string, size: Size): Case | undefined {
  for (const family of families) {
    const found = family(name, size);
    if (found) return found;
  }
  return undefined;
}

/** The sizes at which an operator is measured. */
export const sizesOf = (name: string): readonly Size[] => attentionSizes(name) ?? ['usual'];
export { type Case, dataOf, type Fed, modelOfCase, modelOfStock } from './case.ts';
