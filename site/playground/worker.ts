/** The worker: one engine, calls in, answers out. Everything heavy happens here. */

import { QcError } from '../../grammar/diagnostics.ts';
import wasmUrl from '../../runtime/wasm/qc.wasm?url';
import packages from '../pages/packages.json';
import { Engine } from './engine.ts';
import type { Reply, Request } from './protocol.ts';

const engine = new Engine({
  wasm: async () => new Uint8Array(await (await fetch(wasmUrl)).arrayBuffer()),
  packages,
  session: async (model, options) => (await import('./session.ts')).openSession(model, '.', options),
});
const post = (reply: Reply): void => postMessage(reply);

addEventListener('message', async ({ data }: MessageEvent<Request>) => {
  const { id, method, args } = data;
  try {
    const tell =
      method === 'compile'
        ? [(progress: Reply extends infer R ? (R extends { progress: infer P } ? P : never) : never) => post({ id, progress })]
        : [];
    const call = engine[method].bind(engine) as (...args: readonly unknown[]) => unknown;
    post({ id, value: await call(...args, ...tell) });
  } catch (e) {
    const message = e instanceof Error ? e.message : String(e);
    post({ id, failure: e instanceof QcError ? { message, diagnostics: e.diagnostics } : { message } });
  }
});
