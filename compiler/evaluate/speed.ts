import type { Session, Value } from '../host.ts';

export interface Race {
  /** Median milliseconds of a run. */
  readonly first: number;
  readonly second: number;
  /** Median over the rounds of first / second: above 1 the second is faster. */
  readonly ratio: number;
}

/** One side of a race. */
export interface Runner {
  readonly session: Session;
  readonly feeds: Record<string, Value>;
}

const median = (x: readonly number[]): number => {
  const sorted = [...x].sort((a, b) => a - b);
  const at = sorted.length >> 1;
  return sorted.length % 2 ? sorted[at]! : (sorted[at - 1]! + sorted[at]!) / 2;
};

/** Two sessions turn by turn, who begins alternating, so that both see the same machine; noise that lasts longer than a round cancels in the ratio. */
export async function race(now: () => number, first: Runner, second: Runner, rounds = 30, warmup = 3): Promise<Race> {
  const time = async ({ session, feeds }: Runner): Promise<number> => {
    const started = now();
    await session.run(feeds);
    return now() - started;
  };
  const times: { first: number; second: number }[] = [];
  for (let round = -warmup; round < rounds; round++) {
    const swapped = round % 2 !== 0;
    const a = await time(swapped ? second : first);
    const b = await time(swapped ? first : second);
    if (round >= 0) times.push(swapped ? { first: b, second: a } : { first: a, second: b });
  }
  return {
    first: median(times.map((t) => t.first)),
    second: median(times.map((t) => t.second)),
    ratio: median(times.map((t) => t.first / t.second)),
  };
}
