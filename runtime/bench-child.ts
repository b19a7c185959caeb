/** A process that serves one model for `bench.ts`: opens it, runs what it is told, says how long that took and how much memory it holds. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Case, Opened, Order } from './bench.ts';
import { made, namedSizes, shapesOf } from './bench-feeds.ts';
import { active, loop } from './index.ts';
import { usesDomain } from './session.ts';
import type { Ort } from './tensors.ts';

const ort = createRequire(import.meta.url)('onnxruntime-node') as Ort;
/** Bytes of memory that no other process shares. */
function anonymous(): number {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return process.memoryUsage().rss;
  }
}

let session: InferenceSession;
let base = 0;
let peak = 0;
const feeds = new Map<string, Record<string, Tensor>>();

async function open({ model, threads }: Extract<Order, { do: 'open' }>): Promise<Opened> {
  base = anonymous();
  const began = performance.now();
  session = await ort.InferenceSession.create(model, {
    // Ours, also for models without our operators: what is compared are operators, not ways of passing arrays.
    ...(active ? { executionProviders: ['qc'] } : {}),
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    // Threads of a model that waits for its turn would take the other's time.
    extra: { session: { force_spinning_stop: '1' } },
    // Outputs are freed at once, not when JavaScript collects them: what is measured is what the model needs.
    ...(active ? { preferredOutputLocation: 'ml-tensor' as const } : {}),
  });
  const loadMs = performance.now() - began;
  const steps = loop(session);
  const kernels = active && (await usesDomain(model));
  const language = session.inputNames.includes('input_ids') && steps.carried.length > 0;
  return { loadMs, names: namedSizes(session.inputMetadata), kernels, language };
}

const tokens = (n: number, at: number): Record<string, Tensor> => {
  const carried = new Set(loop(session).carried);
  return Object.fromEntries(
    session.inputMetadata
      .filter((m) => !carried.has(m.name))
      .map((m) => [m.name, made(ort, m, [1, m.name === 'attention_mask' ? at + n : n], at)]),
  );
};

/** Milliseconds: of a run, of a prompt, or of one token. */
async function time(c: Case): Promise<number> {
  if (c.kind === 'shape') {
    let feed = feeds.get(c.name);
    if (!feed) {
      const shapes = shapesOf(session.inputMetadata, c.sizes);
      feed = Object.fromEntries(session.inputMetadata.map((m) => [m.name, made(ort, m, shapes.get(m.name)!)]));
      feeds.set(c.name, feed);
    }
    const began = performance.now();
    let runs = 0;
    // Short runs are repeated, since clocks and schedulers have grains.
    do {
      const out = await session.run(feed);
      for (const t of Object.values(out)) t.dispose();
      runs++;
    } while (performance.now() - began < c.least);
    return (performance.now() - began) / runs;
  }
  const steps = loop(session);
  const prompt = c.kind === 'prefill' ? c.tokens : c.context;
  const first = tokens(prompt, 0);
  const rest = c.kind === 'decode' ? Array.from({ length: c.tokens }, (_, i) => tokens(1, prompt + i)) : [];
  let began = performance.now();
  const drop = (out: Record<string, Tensor>) => {
    for (const t of Object.values(out)) t.dispose();
  };
  drop(await steps.step(first));
  if (c.kind === 'decode') {
    began = performance.now();
    for (const feed of rest) drop(await steps.step(feed));
  }
  const ms = performance.now() - began;
  peak = Math.max(peak, anonymous());
  steps.reset();
  return c.kind === 'decode' ? ms / c.tokens : ms;
}

async function obey(order: Order): Promise<unknown> {
  if (order.do === 'open') return open(order);
  if (order.do === 'time') {
    const ms = await time(order.case);
    peak = Math.max(peak, anonymous());
    return ms;
  }
  return Math.max(0, peak - base);
}

process.on('message', (order: Order) => {
  obey(order).then(
    (value) => process.send?.({ value }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
