/** What passes between the page and its worker. */
import type { Diagnostic } from '../../grammar/diagnostics.ts';
import type { Compiled, Engine, OpenedModel } from './engine.ts';
import type { Completions, Hover, Mistake, Words } from './features.ts';

export type { Compiled, Completions, Hover, Mistake, OpenedModel, Words };

/** Methods that the page may call. */
export type Method = 'words' | 'check' | 'format' | 'hover' | 'complete' | 'open' | 'bring' | 'plan' | 'compile' | 'compare';
export type Api = {
  [M in Method]: (
    ...args: Parameters<Engine[M]> extends [...infer A, (e: never) => void] ? A : Parameters<Engine[M]>
  ) => Promise<Awaited<ReturnType<Engine[M]>>>;
};

export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}
export interface Progress {
  readonly phase: string;
  readonly done?: number;
  readonly total?: number;
}
/** Wrong input carries its diagnostics; anything else is a bug of ours. */
export interface Failure {
  readonly message: string;
  readonly diagnostics?: readonly Diagnostic[];
}
export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure }
  | { readonly id: number; readonly progress: Progress };
