/** A small pretty printer (Wadler's algebra, with comments): what fits stays on one line. */

export type Doc =
  | string
  | readonly Doc[]
  | { readonly kind: 'line'; readonly flat: string; readonly hard?: boolean }
  | { readonly kind: 'indent'; readonly of: Doc }
  | { readonly kind: 'group'; readonly of: Doc; readonly breaks: boolean }
  | { readonly kind: 'broken'; readonly text: string }
  /** An empty line; several in a row are one. */
  | { readonly kind: 'blank' }
  /** `own`: on a line of its own; `late`: moved behind what follows on the line. The next text begins a new line. */
  | { readonly kind: 'comment'; readonly text: string; readonly own: boolean; readonly late: boolean };

export const line: Doc = { kind: 'line', flat: ' ' };
export const soft: Doc = { kind: 'line', flat: '' };
export const hard: Doc = { kind: 'line', flat: '', hard: true };
export const blank: Doc = { kind: 'blank' };
export const indent = (of: Doc): Doc => ({ kind: 'indent', of });
/** `broken`: its lines are broken even where they would fit. */
export const group = (of: Doc, broken = false): Doc => ({ kind: 'group', of, breaks: broken || mustBreak(of) });
/** Text that stands only in a group that was broken. */
export const whenBroken = (text: string): Doc => ({ kind: 'broken', text });
export const comment = (text: string, own: boolean, late: boolean): Doc => ({ kind: 'comment', text, own, late });

export function join(separator: Doc, docs: readonly Doc[]): Doc {
  return docs.flatMap((d, i) => (i === 0 ? [d] : [separator, d]));
}

function mustBreak(d: Doc): boolean {
  if (typeof d === 'string') return false;
  if (!('kind' in d)) return d.some(mustBreak);
  if (d.kind === 'line') return d.hard === true;
  if (d.kind === 'group') return d.breaks;
  if (d.kind === 'indent') return mustBreak(d.of);
  return d.kind === 'comment' && d.own;
}

/** Width of a document on one line; stops counting past `limit`. */
function flatWidth(d: Doc, limit: number): number {
  if (typeof d === 'string') return d.length;
  if ('kind' in d) {
    if (d.kind === 'line') return d.flat.length;
    return d.kind === 'indent' || d.kind === 'group' ? flatWidth(d.of, limit) : 0;
  }
  let sum = 0;
  for (const x of d) {
    sum += flatWidth(x, limit - sum);
    if (sum > limit) break;
  }
  return sum;
}

/** Lays a document out in lines of at most `width` characters where that is possible. */
export function layout(doc: Doc, width: number): string {
  const out: string[] = [];
  let current = '';
  let late: string[] = [];
  let forced = false;
  const newline = (depth: number): void => {
    const ending = late.length ? `${current.trim() === '' ? current : `${current.trimEnd()} `}${late.join(' ')}` : current;
    out.push(ending.trimEnd());
    late = [];
    forced = false;
    current = '  '.repeat(depth);
  };
  const write = (text: string, depth: number): void => {
    if (text === '') return;
    if (forced) newline(depth);
    current += current.trim() === '' ? text.trimStart() : text;
  };
  const walk = (d: Doc, depth: number, flat: boolean): void => {
    if (typeof d === 'string') {
      write(d, depth);
      return;
    }
    if (!('kind' in d)) {
      for (const x of d) walk(x, depth, flat);
      return;
    }
    switch (d.kind) {
      case 'line':
        if (d.hard || !flat) newline(depth);
        else write(d.flat, depth);
        return;
      case 'indent':
        walk(d.of, depth + 1, flat);
        return;
      case 'group':
        walk(d.of, depth, flat || (!d.breaks && current.length + flatWidth(d.of, width - current.length) <= width));
        return;
      case 'broken':
        if (!flat) write(d.text, depth);
        return;
      case 'blank':
        if (forced || current.trim() !== '' || late.length) newline(depth);
        if (out.length && out.at(-1) !== '') newline(depth);
        return;
      case 'comment':
        if (d.late && !d.own) {
          late.push(d.text);
          return;
        }
        if (forced || (d.own && (current.trim() !== '' || late.length))) newline(depth);
        current += current.trim() === '' || current.endsWith(' ') ? d.text : ` ${d.text}`;
        forced = true;
    }
  };
  walk(doc, 0, false);
  if (current !== '' || late.length) newline(0);
  return out.join('\n');
}
