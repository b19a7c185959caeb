/** What the rules of operators on codes share. */
import type { Node } from '../graph/types.ts';
import type { ValueFacts } from './facts.ts';
import type { Reading } from './floats.ts';

/** Reads a node of an operator. True: the node is done with. */
export type Rule = (r: Reading, n: Node) => Promise<boolean>;

/** What the pair of a scale and a zero point says of codes of this many bits. */
export async function pairFacts(r: Reading, scale: string, zero: string, signed: boolean, bits: number): Promise<ValueFacts> {
  const s = r.constants.scales(scale);
  const z = zero === '' ? 0 : await r.constants.uniform(zero);
  const symmetric = signed ? z === 0 : z === 2 ** (bits - 1);
  const per = s && s.count > 1 ? 'channel' : 'tensor';
  return { format: 'int', bits, symmetric, mode: 'static', per, ...(symmetric && !signed ? { middle: true as const } : {}) };
}

/** Type of codes by their zero point, which has it too: [signed, bits] or a small float. */
export function typeOfZero(r: Reading, zero: string, fallback: string): { signed: boolean; bits: number; fp8?: boolean } {
  const dtype = r.constants.tensor(zero)?.dtype ?? fallback;
  const [, u = '', bits = '8'] = /^(u?)int(\d+)$/.exec(dtype) ?? [];
  return { signed: dtype.startsWith('int'), bits: Number(bits), ...(dtype.startsWith('float8') ? { fp8: true } : {}), ...(u ? {} : {}) };
}
