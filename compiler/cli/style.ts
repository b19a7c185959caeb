/** Colours and tables of the terminal. */
import pc from 'picocolors';
import type { Io } from './io.ts';

export type Style = ReturnType<typeof pc.createColors>;
export const style = (io: Io): Style => pc.createColors(io.color);

/** Visible width: without colour codes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
const visible = (s: string) => s.replace(/\x1b\[[0-9;]*m/g, '').length;

/** Columns aligned by width; `right` names columns of numbers. Cells may hold colour codes. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], s: Style, right: readonly number[] = []): string {
  const all = [head, ...rows];
  const width = head.map((_, i) => Math.max(...all.map((r) => visible(r[i] ?? ''))));
  const line = (r: readonly string[], paint: (t: string) => string) =>
    r
      .map((cell, i) => {
        const pad = ' '.repeat(width[i]! - visible(cell));
        return paint(right.includes(i) ? pad + cell : i === r.length - 1 ? cell : cell + pad);
      })
      .join('  ');
  return `${[line(head, s.dim), ...rows.map((r) => line(r, (t) => t))].join('\n')}\n`;
}

/** A path as the user would type it: relative where it lies in the working folder. */
export const near = (io: Io, path: string): string => (path.startsWith(`${io.cwd}/`) ? path.slice(io.cwd.length + 1) : path);
