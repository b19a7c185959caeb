import type { Model } from '../graph/types.ts';
import type { Host, Session, Value } from '../host.ts';

/** A model file in memory: the graph, and the folder of its weights. */
export interface Located {
  readonly model: Model;
  readonly dir: string;
  /** Turns data of the float model into data of this one, where its caches hold other values. */
  readonly adapt?: (feeds: Readonly<Record<string, Value>>) => Readonly<Record<string, Value>>;
}

/** What a task's evaluation may use. */
export interface TaskRequest {
  readonly host: Host;
  /** The fixture's folder: model.onnx and eval/*.npz. */
  readonly folder: string;
  /** The float model of the folder. */
  readonly reference: Located;
  /** The model to be judged; the reference itself when that is judged. */
  readonly judged: Located;
  /** Language models: token by token through the model's own caches. */
  readonly decode: boolean;
  /** Language models: only the first windows. */
  readonly windows?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

/** Numbers by name, in score.py's names; those of one time step as `name.step`. */
export type Scores = Readonly<Record<string, number>>;

/** Opens the sessions of a task (one, where the reference is judged), runs it, closes them. */
export async function withSessions<T>(request: TaskRequest, run: (judged: Session, reference: Session) => Promise<T>): Promise<T> {
  const { host, judged, reference } = request;
  const session = await host.session(judged.model, judged.dir);
  try {
    if (judged === reference) return await run(session, session);
    const other = await host.session(reference.model, reference.dir);
    return await run(session, other).finally(() => other.close());
  } finally {
    await session.close();
  }
}
