/** Arithmetic on dimensions, known or symbolic: polynomials over symbols in one canonical spelling, so that equal sizes are equal strings. */
import type { Dim } from './types.ts';

/** Monomial (symbols sorted, joined by `*`; '' is the constant) → coefficient. */
type Poly = Map<string, number>;

/** Splits at ' + ' and ' - ' outside parentheses. Symbols such as `batch-size` stay whole. */
function terms(text: string): { sign: number; term: string }[] {
  const out: { sign: number; term: string }[] = [];
  let depth = 0;
  let from = 0;
  let sign = 1;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (depth === 0 && (c === '+' || c === '-') && text[i - 1] === ' ' && text[i + 1] === ' ') {
      out.push({ sign, term: text.slice(from, i - 1) });
      sign = c === '+' ? 1 : -1;
      from = i + 2;
    }
  }
  out.push({ sign, term: text.slice(from) });
  return out;
}

/** Splits at `*` outside parentheses. */
function factors(term: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < term.length; i++) {
    if (term[i] === '(') depth++;
    else if (term[i] === ')') depth--;
    else if (term[i] === '*' && depth === 0) {
      out.push(term.slice(from, i));
      from = i + 1;
    }
  }
  out.push(term.slice(from));
  return out;
}

function parse(d: Dim): Poly {
  const poly: Poly = new Map();
  if (typeof d === 'number') return d === 0 ? poly : poly.set('', d);
  for (const { sign, term } of terms(d)) {
    let coefficient = sign;
    const symbols: string[] = [];
    for (const f of factors(term)) {
      if (/^-?\d+$/.test(f)) coefficient *= Number(f);
      else symbols.push(f);
    }
    plus(poly, symbols.sort().join('*'), coefficient);
  }
  return poly;
}

function plus(poly: Poly, monomial: string, coefficient: number): void {
  const c = (poly.get(monomial) ?? 0) + coefficient;
  if (c === 0) poly.delete(monomial);
  else poly.set(monomial, c);
}

function print(poly: Poly): Dim {
  if (poly.size === 0) return 0;
  if (poly.size === 1 && poly.has('')) return poly.get('')!;
  const sorted = [...poly].sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  let text = '';
  for (const [monomial, c] of sorted) {
    const size = Math.abs(c);
    const body = monomial === '' ? String(size) : size === 1 ? monomial : `${size}*${monomial}`;
    // a leading minus belongs to the coefficient, so that it parses back
    text += text === '' ? (c < 0 ? `-${size}${monomial === '' ? '' : `*${monomial}`}` : body) : ` ${c < 0 ? '-' : '+'} ${body}`;
  }
  return text;
}

export function add(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  const poly = parse(a);
  for (const [m, c] of parse(b)) plus(poly, m, c);
  return print(poly);
}

export function mul(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 1) return b;
  if (b === 1) return a;
  const poly: Poly = new Map();
  for (const [m, c] of parse(a)) {
    for (const [n, e] of parse(b))
      plus(
        poly,
        [...m.split('*'), ...n.split('*')]
          .filter((s) => s !== '')
          .sort()
          .join('*'),
        c * e,
      );
  }
  return print(poly);
}

export const sub = (a: Dim, b: Dim): Dim => (a === b ? 0 : add(a, mul(b, -1)));

/** ⌊a / b⌋, exact where every term divides. */
export function floorDiv(a: Dim, b: Dim): Dim {
  if (b === 1) return a;
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number' && b !== 0) return Math.floor(a / b);
  const divisor = [...parse(b)];
  const quotient: Poly = new Map();
  const exact =
    divisor.length === 1 &&
    [...parse(a)].every(([m, c]) => {
      const rest = without(m, divisor[0]![0]);
      if (rest === undefined || c % divisor[0]![1] !== 0) return false;
      plus(quotient, rest, c / divisor[0]![1]);
      return true;
    });
  return exact ? print(quotient) : `floor((${a})/(${b}))`;
}

/** ⌈a / b⌉. */
export const ceilDiv = (a: Dim, b: number): Dim => floorDiv(add(a, b - 1), b);

function without(monomial: string, divisor: string): string | undefined {
  const left = monomial === '' ? [] : monomial.split('*');
  for (const s of divisor === '' ? [] : divisor.split('*')) {
    const i = left.indexOf(s);
    if (i < 0) return undefined;
    left.splice(i, 1);
  }
  return left.join('*');
}

export const product = (dims: readonly Dim[]): Dim => dims.reduce(mul, 1);

/** Made by inference or nameless in the file, as opposed to a name that an exporter gave. */
export const isAnonymous = (d: Dim): boolean => typeof d === 'string' && d.includes('?');
