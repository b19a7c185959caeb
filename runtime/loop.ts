/** Models with caches or states, step by step: what a step puts out, the next takes in, without a copy where the session is ours. */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Handler } from './handler.ts';
import { bytesOf, type Ort, tensorOver } from './tensors.ts';

/** The output that carries on an input: past_key_values.0.key → present.0.key, past_ssm.0 → present_ssm.0. */
const present = (past: string): string =>
  past.startsWith('past_key_values.') ? past.replace('past_key_values.', 'present.') : past.replace('past_', 'present_');

interface Carried {
  readonly input: string;
  readonly output: string;
  readonly type: string;
  /** Sizes and names of sizes. */
  readonly shape: readonly (number | string)[];
}

export class Loop {
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #handler: Partial<Handler>;
  readonly #carried: readonly Carried[];
  #state = new Map<string, Tensor>();

  /** Over a session of `ort`; it stays the caller's. Inputs that begin with `past` are carried where an output continues them. */
  constructor(ort: Ort, session: InferenceSession) {
    this.#ort = ort;
    this.#session = session;
    this.#handler = (session as unknown as { handler: Partial<Handler> }).handler;
    this.#carried = session.inputMetadata.flatMap((m) => {
      const output = present(m.name);
      const pair = m.name.startsWith('past') && session.outputNames.includes(output);
      return pair && m.isTensor ? [{ input: m.name, output, type: m.type, shape: m.shape }] : [];
    });
  }

  /** Inputs that are carried; the others are the caller's. */
  get carried(): readonly string[] {
    return this.#carried.map((c) => c.input);
  }

  /** One step. Gives the outputs that are not carried, or those of them in `fetch`. The batch is the first size of the first feed. */
  async step(feeds: Readonly<Record<string, Tensor>>, fetch?: readonly string[]): Promise<Record<string, Tensor>> {
    const { place, inPlace = {} } = this.#handler;
    const batch = Object.values(feeds)[0]?.dims[0] ?? 1;
    const all: Record<string, Tensor> = { ...feeds };
    const wanted: Record<string, Tensor | null> = {};
    const outputs = new Set(this.#carried.map((c) => c.output));
    for (const name of fetch ?? this.#session.outputNames) if (!outputs.has(name)) wanted[name] = null;
    for (const c of this.#carried) {
      const past = this.#state.get(c.input) ?? this.#empty(c, batch);
      all[c.input] = past;
      const grows = inPlace[c.input] === c.output;
      wanted[c.output] = place ? (grows && past.location === 'ml-tensor' ? past : place(c.type, [], grows)) : null;
    }
    const results = (await this.#session.run(all, wanted as never)) as Record<string, Tensor>;
    for (const c of this.#carried) {
      const old = this.#state.get(c.input);
      this.#state.set(c.input, results[c.output]!);
      // Its memory lives on where the next one grew in it.
      old?.dispose();
      delete results[c.output];
    }
    return results;
  }

  /** Begins anew: frees what was carried. */
  reset(): void {
    for (const tensor of this.#state.values()) tensor.dispose();
    this.#state = new Map();
  }

  /** What is carried now, copied, by the name of its input. */
  async state(): Promise<Map<string, Tensor>> {
    const copied = new Map<string, Tensor>();
    for (const [name, t] of this.#state) {
      const data = (await t.getData()) as unknown as { buffer: ArrayBuffer; byteOffset: number; byteLength: number };
      copied.set(name, tensorOver(this.#ort, t.type, new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(), t.dims));
    }
    return copied;
  }

  /** No tokens yet, states of zeros. */
  #empty(c: Carried, batch: number): Tensor {
    const dims = c.shape.map((d, axis) => (typeof d === 'number' ? d : axis === 0 ? batch : 0));
    return tensorOver(this.#ort, c.type, new Uint8Array(bytesOf(c.type, dims)), dims);
  }
}
