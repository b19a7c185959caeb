/** Logarithmic codes of values in [0, 1], in standard operators: codes by Log and Round, values by a table. */
import type { DType } from '../graph/types.ts';
import type { Emit } from '../lower/emit.ts';
import { numbers } from '../lower/make.ts';
import type { Levels } from '../plan/types.ts';

/** What each code stands for: 1, r⁻¹, r⁻² …, and 0 for the last. r = √2 by parity: odd codes are √2 · 2^−⌈q/2⌉, so that a kernel only shifts. */
export function levelValues({ ratio, bits }: Levels): Float32Array {
  const last = 2 ** bits - 1;
  const halves = Math.log2(ratio) === 1 ? 1 : 2;
  return Float32Array.from({ length: last + 1 }, (_, q) =>
    q === last ? 0 : 2 ** -Math.ceil(q / halves) * (halves === 2 && q % 2 === 1 ? Math.SQRT2 : 1),
  );
}

/** q = clip(round(−log_r x), 0, 2^bits − 1), x̂ = level(q); x = 0 becomes the last code. */
export function onLevels(e: Emit, x: string, dtype: DType, levels: Levels): string {
  const wide = dtype === 'float32' ? x : e.cast(x, 'float32');
  const q = e.op('Round', [e.op('Mul', [e.op('Log', [wide]), e.scalar(-1 / Math.log(levels.ratio))])]);
  const codes = e.op('Clip', [q, e.scalar(0), e.scalar(2 ** levels.bits - 1)]);
  const table = e.constant('levels', numbers('float32', [2 ** levels.bits], levelValues(levels)));
  const y = e.op('Gather', [table, e.cast(codes, 'int32')]);
  return dtype === 'float32' ? y : e.cast(y, dtype);
}
