import { availableParallelism } from 'node:os';
import { fail } from '../../grammar/diagnostics.ts';
import type { Speedup } from '../host.ts';

/** How much faster the second model is than the first, by what is measured: `qc bench` at its usual sizes. Errors: bench-run. */
export async function measureSpeed(models: readonly [float: string, quantized: string], threads?: number): Promise<Speedup[]> {
  const { bench } = await import('../../runtime/bench.ts');
  const found = await bench(models, {
    threads: threads ?? availableParallelism(),
    shapes: [],
    prefill: 256,
    decode: 16,
    context: 256,
    rounds: 11,
    seconds: 6,
  }).catch((e: Error) => fail('bench-run', e.message));
  return found.cases.map((c) => ({ kind: c.kind === 'shape' ? 'run' : c.kind, ...c.results[1]!.ratio }));
}
