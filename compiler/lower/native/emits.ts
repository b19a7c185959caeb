/** What an operator yields of its floats: themselves, or codes by the row, or codes under a step, perhaps of some channels more than once; the last nodes of its body. */
import type { Body } from './function.ts';

export type Emits = 'floats' | 'rows' | 'asymmetric' | 'steps' | 'picked';

const INT8 = 3;

/** Codes of rows and their scale: s = max(max|x| / top, 1e-30), codes = round(x / s). */
function symmetric(b: Body, x: string): void {
  const top = b.floatAttribute('top');
  const most = b.reduce('ReduceMax', b.op('Abs', [x]));
  b.op('Max', [b.op('Div', [most, top]), b.float(1e-30)], {}, 'scale');
  const q = b.op('Clip', [b.op('Round', [b.op('Div', [x, 'scale'])]), b.op('Neg', [top]), top]);
  b.op('Cast', [q], { to: INT8 }, 'codes');
}

/** The same with a zero point for each row, which is taken off the codes. */
function asymmetric(b: Body, x: string): void {
  const [lo, hi, zero] = [b.floatAttribute('lo'), b.floatAttribute('hi'), b.float(0)];
  const low = b.op('Min', [b.reduce('ReduceMin', x), zero]);
  const high = b.op('Max', [b.reduce('ReduceMax', x), zero]);
  b.op('Max', [b.op('Div', [b.op('Sub', [high, low]), b.op('Sub', [hi, lo])]), b.float(1e-30)], {}, 'scale');
  const middle = b.op('Clip', [b.op('Round', [b.op('Sub', [lo, b.op('Div', [low, 'scale'])])]), lo, hi]);
  const q = b.op('Clip', [b.op('Add', [b.op('Round', [b.op('Div', [x, 'scale'])]), middle]), lo, hi]);
  b.op('Cast', [b.op('Sub', [q, middle])], { to: INT8 }, 'codes');
}

/** clip(round(x / step) + zero); of the channels that an input lists. */
function steps(b: Body, x: string, picked: boolean): void {
  const moved = b.op('Add', [b.op('Round', [b.op('Div', [x, 'step'])]), b.floatAttribute('zero')]);
  const q = b.op('Clip', [moved, b.floatAttribute('lo'), b.floatAttribute('hi')]);
  b.op('Cast', [picked ? b.op('Gather', [q, 'channels'], { axis: -1 }) : q], { to: INT8 }, 'codes');
}

/** Adds what yields the results from the floats `x` (which are `y` where they are the result); their names, and the attributes that they need. */
export function emitted(b: Body, x: string, form: Emits): { results: string[]; attrs: string[] } {
  if (form === 'rows') symmetric(b, x);
  if (form === 'asymmetric') asymmetric(b, x);
  if (form === 'steps' || form === 'picked') steps(b, x, form === 'picked');
  return {
    floats: { results: ['y'], attrs: [] },
    rows: { results: ['codes', 'scale'], attrs: ['top'] },
    asymmetric: { results: ['codes', 'scale'], attrs: ['lo', 'hi'] },
    steps: { results: ['codes'], attrs: ['lo', 'hi', 'zero'] },
    picked: { results: ['codes'], attrs: ['lo', 'hi', 'zero'] },
  }[form];
}
