/** Logarithmic codes of the rows of a softmax, in standard operators: codes by Log and Round, values by a table. */
import type { DType } from '../graph/types.ts';
import type { Emit } from '../lower/emit.ts';
import { numbers } from '../lower/make.ts';
import type { Levels, QType } from '../plan/types.ts';

/** A row without any value has some maximum, never zero. */
const TINY = 1e-30;

/** What each code stands for: 1, r⁻¹, r⁻² …, and 0 for the last. r = √2 by parity: odd codes are √2 · 2^−⌈q/2⌉, so that a kernel only shifts. */
export function levelValues({ ratio, bits }: Levels): Float32Array {
  const last = 2 ** bits - 1;
  const halves = ratio === 2 ? 1 : 2;
  return Float32Array.from({ length: last + 1 }, (_, q) =>
    q === last ? 0 : 2 ** -Math.ceil(q / halves) * (halves === 2 && q % 2 === 1 ? Math.SQRT2 : 1),
  );
}

/**
 * q = clip(round(−log_r(x/m)), 0, 2^bits − 1), l = level(q).
 * Static: m = 1, x̂ = l. Dynamic: m = the row's maximum and x̂ = l · Σx/Σl, so that a row keeps its sum; from scores, log x/m is the score minus
 * the row's largest, and a kernel needs no exponential.
 */
export function onLevels(e: Emit, x: string, dtype: DType, levels: Levels, mode: QType['mode']): string {
  const wide = dtype === 'float32' ? x : e.cast(x, 'float32');
  const by = mode === 'static' ? wide : e.op('Div', [wide, e.op('Max', [e.reduce('ReduceMax', wide, [-1]), e.scalar(TINY)])]);
  const q = e.op('Round', [e.op('Mul', [e.op('Log', [by]), e.scalar(-1 / Math.log(levels.ratio))])]);
  const codes = e.op('Clip', [q, e.scalar(0), e.scalar(2 ** levels.bits - 1)]);
  const table = e.constant('levels', numbers('float32', [2 ** levels.bits], levelValues(levels)));
  const level = e.op('Gather', [table, e.cast(codes, 'int32')]);
  const y = mode === 'static' ? level : e.op('Mul', [level, e.op('Div', [sum(e, wide), e.op('Max', [sum(e, level), e.scalar(TINY)])])]);
  return dtype === 'float32' ? y : e.cast(y, dtype);
}

/** Over the last axis. Axes are an input since version 13. */
const sum = (e: Emit, x: string): string =>
  e.opset >= 13 ? e.op('ReduceSum', [x, e.list([-1])], { keepdims: 1 }) : e.op('ReduceSum', [x], { axes: [-1], keepdims: 1 });
