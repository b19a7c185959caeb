/** Recipes of the stdlib without what takes minutes and changes numbers only: what runs is the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const stdlib = join(import.meta.dirname, '../../stdlib');

/** The text of a recipe of the stdlib without its `solve` statements, with one round of low-rank branch and residual, and with `more` at its end. */
export function unsolved(name: string, more = ''): string {
  const texts = readdirSync(stdlib, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.qrecipe'))
    .map((f) => readFileSync(join(stdlib, f), 'utf8'));
  const begins = new RegExp(`^recipe ${name} [^\\n]*\\{$`, 'm');
  const text = texts.find((t) => begins.test(t));
  if (text === undefined) throw new Error(`no recipe ${name} in stdlib`);
  const from = text.slice(begins.exec(text)!.index);
  const lines = from.slice(0, from.indexOf('\n}')).split('\n');
  const kept = lines.filter((l) => !/^\s*solve /.test(l)).map((l) => l.replace(/(transform lowrank [^{]*\{)/, '$1 iterations: 1,'));
  return `${kept.join('\n')}\n${more}}\n`;
}
