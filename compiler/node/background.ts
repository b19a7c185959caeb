/** Sessions that run off the main thread, several at once, where the native addon is: the same ONNX Runtime; without kernels the same bits as `session.ts`. */
import { fail } from '../../grammar/diagnostics.ts';
import type { DType } from '../graph/types.ts';
import type { Session, Value } from '../host.ts';
import { configOf, reason, type SessionOptions } from './session-options.ts';

export type OpenBackground = (model: Uint8Array, folder: string, options: SessionOptions) => Promise<Session>;

/** Undefined where there is no addon. */
export async function backgroundSessions(): Promise<OpenBackground | undefined> {
  const { stockSessions } = await import('../../runtime/stock.ts');
  const open = await stockSessions();
  if (!open) return undefined;
  return async (model, folder, options) => {
    const settings = {
      threads: options.threads ?? 0,
      optimize: options.optimize !== 'off',
      kernels: options.kernels === true,
      config: configOf(folder, options),
    };
    const session = await open(model, settings).catch((e: unknown) =>
      fail('session-load', `ONNX Runtime cannot load the model: ${reason(e)}`),
    );
    // what does not pass here is told, or served, by the package itself
    if (!session) return (await import('./session.ts')).openSession(model, folder, options);
    return {
      inputs: session.inputs,
      outputs: session.outputs,
      async run(feeds, fetch) {
        const found = await session
          .run(feeds, fetch ?? session.outputs)
          .catch((e: unknown) => fail('session-run', `ONNX Runtime stopped: ${reason(e)}`));
        const typed = ([name, v]: [string, (typeof found)[string]]): [string, Value] => [name, { ...v, dtype: v.dtype as DType }];
        return Object.fromEntries(Object.entries(found).map(typed));
      },
      recycle: ({ bytes }) => session.recycle(bytes),
      close: async () => session.close(),
    };
  };
}
