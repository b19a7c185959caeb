import { InvalidArgumentError } from 'commander';

/** An option that counts something: a whole number from 1 to 1024. */
export function count(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 1024) throw new InvalidArgumentError('A whole number from 1 to 1024 is wanted.');
  return n;
}
