/** `speedup`: the compiled model beside the float one on this machine, measured by the code of `qc bench`. */

import { fail } from '../../grammar/diagnostics.ts';
import type { Model } from '../graph/types.ts';
import { writeModel } from '../graph/write.ts';
import type { Speedup } from '../host.ts';
import type { Call, Scope } from '../plan/bind.ts';
import { failAt } from '../plan/bind.ts';
import type { Expr } from '../recipe.ts';
import type { Source } from './model.ts';
import type { CompileOptions } from './types.ts';

/** Does a condition ask for the speed, also through `let`? */
export function asksSpeed(e: Expr, scope: Scope): boolean {
  if (e.kind === 'call') return e.name === 'speedup' || Object.values(e.args).some((a) => a !== undefined && asksSpeed(a, scope));
  if (e.kind === 'op') return asksSpeed(e.left, scope) || asksSpeed(e.right, scope);
  if (e.kind === 'not' || e.kind === 'neg') return asksSpeed(e.of, scope);
  const given = e.kind === 'var' ? scope.recipe.lets.get(e.name) : undefined;
  return given ? asksSpeed(given, scope) : false;
}

/** Writes the model to scratch and races it against the float one. Errors: `speed-where` (this host has no processes), bench-run. */
export async function measureSpeedup(model: Model, source: Source, options: CompileOptions): Promise<readonly Speedup[]> {
  const { host } = options;
  if (!host.speed)
    return fail(
      'speed-where',
      '`speedup` is measured on the machine that compiles, which is not possible here.',
      'Compile with qc on the command line.',
    );
  const path = `${await host.scratch()}/speed.onnx`;
  await writeModel({ open: host.open, create: host.create, crunch: host.crunch }, model, path, { dir: source.dir, force: true });
  return host.speed([options.model, path], options.threads);
}

/** The value of a call of `speedup`: of what it names, else the smallest of what was measured. */
export function speedupOf(call: Call, kind: string | undefined, measured: readonly Speedup[]): number {
  const chosen = kind === undefined ? measured : measured.filter((m) => m.kind === kind);
  if (chosen.length === 0)
    return failAt(
      'metric-where',
      `There is no \`${kind}\` to be measured on this model.`,
      call.span,
      `There is ${measured.map((m) => m.kind).join(' and ')}.`,
    );
  return Math.min(...chosen.map((m) => m.median));
}
