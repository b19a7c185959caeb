/** Calls to the worker as promises; `restart` ends whatever runs. */
import type { Diagnostic } from '../../grammar/diagnostics.ts';
import type { Api, Method, Progress, Reply } from './protocol.ts';

/** A call that failed: on wrong input with its diagnostics. */
export class CallError extends Error {
  constructor(
    message: string,
    readonly diagnostics?: readonly Diagnostic[],
  ) {
    super(message);
  }
}
/** The worker was restarted while the call ran. */
export class Stopped extends Error {}

interface Waiting {
  readonly settle: (value: never) => void;
  readonly fail: (error: Error) => void;
  readonly tell: ((p: Progress) => void) | undefined;
}

export class Client {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #last = 0;

  call<M extends Method>(method: M, args: Parameters<Api[M]>, tell?: (p: Progress) => void): ReturnType<Api[M]> {
    this.#worker ??= this.#start();
    const id = ++this.#last;
    const answer = new Promise((settle, fail) => this.#waiting.set(id, { settle, fail, tell }));
    this.#worker.postMessage({ id, method, args });
    return answer as ReturnType<Api[M]>;
  }

  restart(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const w of this.#waiting.values()) w.fail(new Stopped('stopped'));
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.onerror = (e) => {
      for (const w of this.#waiting.values()) w.fail(new CallError(e.message || 'the compiler could not be loaded'));
      this.#waiting.clear();
    };
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const waiting = this.#waiting.get(data.id);
      if (!waiting) return;
      if ('progress' in data) return waiting.tell?.(data.progress);
      this.#waiting.delete(data.id);
      if ('failure' in data) waiting.fail(new CallError(data.failure.message, data.failure.diagnostics));
      else waiting.settle(data.value as never);
    };
    return worker;
  }
}
