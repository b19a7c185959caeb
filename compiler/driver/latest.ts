/** Weights as solvers left them, for models that are cut before their layers are solved. */
import type { Tensor } from '../graph/types.ts';
import type { EvalContext } from '../host.ts';
import { dequantized } from '../simulate/dequantized.ts';
import type { Weights } from '../simulate/simulate.ts';
import type { EncodedWeight } from '../simulated.ts';
import type { Entry } from './kept.ts';

type Parts = Promise<Record<string, Uint8Array>>;

export class Latest implements Weights {
  readonly #context: EvalContext;
  readonly #now = new Map<EncodedWeight, EncodedWeight>();
  readonly #numbers = new Map<EncodedWeight, number>();
  /** Values of layers that were solved, until they are read once. */
  readonly #made = new Map<EncodedWeight, Parts>();

  constructor(context: EvalContext) {
    this.#context = context;
  }

  /** A weight with what was found for it so far. */
  of(w: EncodedWeight): EncodedWeight {
    return this.#now.get(w) ?? w;
  }

  /** What a solver found: codes, or another float weight. `awaited`: its values are computed at once, since the next block waits for them. */
  found(w: EncodedWeight, tensors: Entry['tensors'], awaited: boolean): void {
    const before = this.of(w);
    const source = tensors['weight'];
    const now: EncodedWeight = source
      ? { ...before, source, reweighted: true }
      : { ...before, solved: tensors as NonNullable<EncodedWeight['solved']> };
    this.#now.set(w, now);
    if (!awaited) return;
    const made = valuesOf(now, '').evaluate(this.#context);
    made.catch(() => {});
    this.#made.set(w, made);
  }

  /** Two sites may find different codes for one initializer. */
  key(w: EncodedWeight): string {
    const number = this.#numbers.get(w) ?? this.#numbers.size;
    this.#numbers.set(w, number);
    return `weight ${number}`;
  }

  /** What the weight stands for when it is read. */
  tensor(w: EncodedWeight, name: string): Tensor {
    const { dtype, shape } = w.source;
    const evaluate = (ctx: EvalContext): Parts => {
      const made = this.#made.get(w);
      this.#made.delete(w);
      return made ?? valuesOf(this.of(w), name).evaluate(ctx);
    };
    return { dtype, shape, source: { kind: 'lazy', lazy: { key: `${name}|latest ${this.key(w)}`, part: 'value', evaluate } } };
  }
}

function valuesOf(w: EncodedWeight, name: string) {
  const { source } = dequantized(w, name);
  if (source.kind !== 'lazy') throw new Error(`${w.site.id}: its values are no expression`);
  return source.lazy;
}
