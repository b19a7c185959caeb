/** A recipe in the making: statements with their comments, and what has no equal in the language. */
import type { Expr, Stmt } from '../../grammar/ast.ts';
import { print, printNode } from '../../grammar/printer.ts';
import { calibrate, call, doc, type Fields, file, type Line, letValue, name, text } from './ast.ts';
import { type Data, isMapping } from './data.ts';

/** Text of a stranger in a comment: one line, no control characters, not too long. */
export function tame(s: string, most = 160): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const line = s.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
const plain = (d: Data): unknown =>
  isMapping(d) ? Object.fromEntries([...d].map(([k, v]) => [`${k}`, plain(v)])) : Array.isArray(d) ? d.map(plain) : d;
export const show = (d: Data): string => tame(JSON.stringify(plain(d)) ?? '', 100);

/** Every file name becomes a name of the language. */
export const identifier = (s: string): string =>
  s
    .replace(/[^A-Za-z0-9_]+/g, '_')
    .replace(/^(?=\d)|^$/, 'm')
    .slice(0, 64);

export class Draft {
  private readonly lines: Line[] = [];
  private readonly losses: string[] = [];
  private readonly names = new Map<string, string>();
  private readonly used = new Set<string>();
  private gap = false;
  private calibrated = false;

  /** A statement, with comments before it. The same statement twice is one. */
  add(stmt: Stmt, ...notes: readonly string[]): void {
    const known = this.lines.findIndex((l) => printNode(l.stmt) === printNode(stmt));
    if (known >= 0) this.lines.splice(known, 1);
    this.lines.push({ stmt, notes: notes.map((n) => tame(n, 400)), blank: this.gap });
    this.gap = false;
  }
  /** What follows stands apart. */
  part(): void {
    this.gap = this.lines.length > 0;
  }
  /** A setting that the language cannot say, or that means nothing to it. */
  lost(where: string, value: Data | undefined, why?: string): void {
    const said = value === undefined ? tame(where) : `${tame(where)} = ${show(value)}`;
    this.losses.push(`  ${said}${why ? `: ${why}` : ''}`);
  }
  /** A `let` for a selection that several statements speak of; a single word stays as it is. */
  let(want: string, value: Expr): Expr {
    if (value.kind === 'name') return value;
    const key = printNode(value);
    let n = this.names.get(key);
    if (n === undefined) {
      n = want;
      for (let i = 2; this.used.has(n); i++) n = `${want}_${i}`;
      this.names.set(key, n);
      this.used.add(n);
      this.add(letValue(n, value));
    }
    return name(n);
  }
  /** Data for calibration, once. */
  data(f: Fields = {}, ...notes: readonly string[]): void {
    if (this.calibrated) return;
    this.calibrated = true;
    const stmt = calibrate(call('data', [text('calib')]), f);
    const why = notes.length ? notes : ['The calibration set is not part of the configuration: bind yours with --data calib=DIR.'];
    this.lines.unshift({ stmt, notes: why.map((n) => tame(n, 400)) });
  }

  /** The canonical text. `marks` are comments for statements (by their place), `gone` those that do not check. */
  text(
    recipe: string,
    from: string,
    marks: ReadonlyMap<number, string> = new Map(),
    gone: ReadonlyMap<number, string> = new Map(),
  ): string {
    const body: Line[] = [{ stmt: doc(tame(`Imported by qc from ${from}.`)), notes: [] }];
    const foot = [...this.losses];
    this.lines.forEach((l, i) => {
      const error = gone.get(i);
      if (error !== undefined) foot.push(`  ${tame(printNode(l.stmt).replace(/\s+/g, ' '))}: ${tame(error)}`);
      else body.push({ ...l, notes: [...l.notes, ...(marks.has(i) ? [marks.get(i) as string] : [])], blank: l.blank === true || i === 0 });
    });
    const told = foot.length ? ['What has no equal here, or means nothing to qc:', ...foot] : [];
    return print(file(identifier(recipe), body, told));
  }
  /** Nothing was understood. */
  get empty(): boolean {
    return this.lines.length === 0;
  }
}
