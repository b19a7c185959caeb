/** Language models token by token: only this sees a quantized cache or state. */
import { fail } from '../../grammar/diagnostics.ts';
import { tokenFeeds } from '../calibrate/tokens.ts';
import { floats, valueFrom } from '../calibrate/values.ts';
import type { Graph } from '../graph/types.ts';
import type { Value } from '../host.ts';
import kl from '../metrics/kl.ts';
import { mean, readArrays } from './arrays.ts';
import { nll, readWindows } from './language.ts';
import { type Scores, type TaskRequest, withSessions } from './task.ts';

const windows = 8;
const prefix = 64;
const steps = 64;

/** The output that carries on an input: past_key_values.0.key → present.0.key, past_ssm.0 → present_ssm.0. */
export const present = (past: string): string =>
  past.startsWith('past_key_values.') ? past.replace('past_key_values.', 'present.') : past.replace('past_', 'present_');

const isPast = (name: string): boolean => name.startsWith('past');

/** A prefix of 64 tokens, then 64 tokens one a run; decode_nll_diff and decode_kl against the float model on whole windows. */
export async function decodeScores(request: TaskRequest): Promise<Scores> {
  const { ids } = await readWindows(request, windows);
  const reference = await readArrays(request.host, `${request.folder}/eval`, 'reference');
  const perWindow = reference.get('nll').shape[1]!;
  const referenceNll = reference.numbers('nll');
  const total = prefix + steps;
  const losses: number[] = [];
  const expected: number[] = [];
  const divergence = kl.start();
  await withSessions(request, async (session, float) => {
    const whole = ids.map((w) => w.slice(0, total));
    const full = floats((await float.run(tokenFeeds(request.reference.model.graph, whole), ['logits']))['logits']!);
    const vocabulary = full.length / (ids.length * total);
    let past: Record<string, Value> = {};
    for (let at = 0; at < total; ) {
      const count = at === 0 ? prefix : 1;
      const chunk = ids.map((w) => w.slice(at, at + count));
      const feeds = stepFeeds(request.judged.model.graph, chunk, at, past);
      const out = await session.run(feeds);
      past = Object.fromEntries(
        Object.keys(feeds)
          .filter(isPast)
          .map((name) => [
            name,
            out[present(name)] ?? fail('decode-state', `the model has no output "${present(name)}" for its input "${name}"`),
          ]),
      );
      at += count;
      const logits = floats(out['logits']!);
      ids.forEach((window, w) => {
        const here = ((w + 1) * count - 1) * vocabulary;
        const row = logits.subarray(here, here + vocabulary);
        const there = (w * total + at - 1) * vocabulary;
        kl.fold(divergence, full.subarray(there, there + vocabulary), row, vocabulary);
        losses.push(nll(row, 0, vocabulary, window[at]!));
        expected.push(referenceNll[w * perWindow + at - 1]!);
      });
      request.onProgress?.(at, total);
    }
  });
  return { decode_nll_diff: mean(losses) - mean(expected), decode_kl: kl.finish(divergence) };
}

/** Inputs of one run at position `at`: the mask covers the past too. */
function stepFeeds(
  graph: Graph,
  chunk: readonly (readonly number[])[],
  at: number,
  past: Readonly<Record<string, Value>>,
): Record<string, Value> {
  const start = tokenFeeds(graph, chunk);
  const count = chunk[0]!.length;
  const shifted = (name: string, length: number, make: (i: number) => number) => {
    const value = start[name];
    return value
      ? {
          [name]: valueFrom(
            value.dtype,
            [chunk.length, length],
            Array.from({ length: chunk.length * length }, (_, i) => make(i)),
          ),
        }
      : {};
  };
  return {
    ...start,
    ...shifted('attention_mask', at + count, () => 1),
    ...shifted('position_ids', count, (i) => at + (i % count)),
    ...past,
  };
}
