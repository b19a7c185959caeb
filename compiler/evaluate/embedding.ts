/** Sentence embeddings: eval/queries.npz and eval/bodies.npz (padded ids and masks, row i belongs to row i), eval/reference.npz (float embeddings). */
import { floats, view } from '../calibrate/values.ts';
import type { Host, Session, Value } from '../host.ts';
import { argmax, mean, readArrays } from './arrays.ts';
import { type Scores, type TaskRequest, withSessions } from './task.ts';

const together = 32;

/** The first `to − from` rows and the first `length` columns of a [rows, columns] array. */
function crop(value: Value, from: number, to: number, length: number): Value {
  const columns = value.shape[1]!;
  const width = value.bytes.length / (value.shape[0]! * columns);
  const bytes = new Uint8Array((to - from) * length * width);
  for (let r = from; r < to; r++)
    bytes.set(value.bytes.subarray(r * columns * width, (r * columns + length) * width), (r - from) * length * width);
  return { dtype: value.dtype, shape: [to - from, length], bytes };
}

/** Mean-pooled, normalized embeddings of one file, as rows. */
async function embed(host: Host, folder: string, name: string, session: Session): Promise<Float64Array[]> {
  const arrays = await readArrays(host, folder, name);
  const all = arrays.get('attention_mask');
  const [rows = 0, columns = 0] = all.shape;
  const masks = Float64Array.from(view(all), Number);
  const out: Float64Array[] = [];
  for (let from = 0; from < rows; from += together) {
    const to = Math.min(rows, from + together);
    const lengths = Array.from({ length: to - from }, (_, r) =>
      masks.subarray((from + r) * columns, (from + r + 1) * columns).reduce((a, b) => a + b, 0),
    );
    const longest = Math.max(...lengths);
    const feeds = Object.fromEntries(session.inputs.map((input) => [input, crop(arrays.get(input), from, to, longest)]));
    const hidden = floats((await session.run(feeds))[session.outputs[0]!]!);
    const size = hidden.length / ((to - from) * longest);
    for (let r = 0; r < to - from; r++) {
      const pooled = new Float64Array(size);
      for (let t = 0; t < longest; t++) {
        const weight = masks[(from + r) * columns + t]!;
        for (let c = 0; c < size; c++) pooled[c]! += weight * hidden[(r * longest + t) * size + c]!;
      }
      const norm = Math.hypot(...pooled);
      out.push(pooled.map((x) => x / norm));
    }
  }
  return out;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** accuracy_at_1: share of queries whose own body is the nearest; mean_cosine to the float embeddings. */
export async function embeddingScores(request: TaskRequest): Promise<Scores> {
  const folder = `${request.folder}/eval`;
  const reference = await readArrays(request.host, folder, 'reference');
  const [queries, bodies] = await withSessions(request, async (session) => [
    await embed(request.host, folder, 'queries', session),
    await embed(request.host, folder, 'bodies', session),
  ]);
  const against = (rows: readonly Float64Array[], name: string) => {
    const expected = reference.floats(name);
    return rows.map((row, i) => dot(row, expected.subarray(i * row.length, (i + 1) * row.length)));
  };
  const hits = queries!.map((q, i): number =>
    argmax(
      bodies!.map((b) => dot(q, b)),
      0,
      bodies!.length,
    ) === i
      ? 1
      : 0,
  );
  return { accuracy_at_1: mean(hits), mean_cosine: mean([...against(queries!, 'query_emb'), ...against(bodies!, 'body_emb')]) };
}
