/**
 * Lowered and simulated model compared site by site on equal inputs: the lowered graph is cut behind every site, and each piece is fed what the
 * simulated graph computes. Rounding that falls the other way in one site cannot grow in later ones, so what differs here is that site's lowering.
 */
import { tapped } from '../calibrate/tap.ts';
import { isFloat } from '../graph/dtype.ts';
import type { Model, ValueInfo } from '../graph/types.ts';
import type { Host, Value } from '../host.ts';
import type { Simulated } from '../simulated.ts';
import type { Sites } from '../sites.ts';
import { distance, TOLERANCE } from './prove.ts';

/** What one piece of the lowered graph yields: ‖lowered − simulated‖ / ‖simulated‖ on equal inputs. */
export interface SiteDifference {
  /** The site whose output it is, or the model's output. */
  readonly name: string;
  readonly value: string;
  readonly relative: number;
}

/**
 * Largest relative error of a site on equal inputs. Float sums in another order differ by 1e-7; a tie that falls the other way moves one value by a
 * step of its code, so half a step of the coarsest one is far above that (measured: 2e-5) and below a scale that is 25 % wrong (1e-2 and more).
 */
export function siteTolerance({ values }: Pick<Simulated, 'values'>): number {
  const steps = values.map(({ type: { codes } }) => (codes?.kind === 'int' ? 1 / (codes.hi - codes.lo) : codes ? 2 ** -5 : 0));
  return Math.max(TOLERANCE.floats, ...steps.map((s) => s / 2));
}

const OWN = '/own';

/**
 * In the order of the graph. Cuts lie where both graphs have a value of a site's output in the same float type; where a target keeps codes
 * between sites, a piece holds all of these. Induction over the pieces: if every one agrees, the lowered graph is the simulated one up to rounding.
 */
export async function compareSites(
  host: Host,
  expected: Model,
  actual: Model,
  sites: Sites,
  dir: string,
  feeds: Record<string, Value>,
): Promise<SiteDifference[]> {
  const made = (m: Model) => new Set(m.graph.nodes.flatMap((n) => n.outputs));
  const own = made(actual);
  const names = new Map(expected.graph.outputs.map((o) => [o.name, `output "${o.name}"`]));
  for (const s of sites.sites) if (s.graph === '' && s.ports['output']) names.set(s.ports['output'].value, s.id);
  const common = [...made(expected)].filter((v) => names.has(v) && own.has(v));
  const reference = await ran(host, tapped(expected, common), dir, feeds);
  const types = await ran(host, tapped(actual, common), dir, feeds);
  const equal = common.filter((v) => {
    const [a, b] = [reference[v], types[v]];
    return a !== undefined && isFloat(a.dtype) && a.dtype === b?.dtype && a.shape.join() === b.shape.join();
  });
  const given = Object.fromEntries(equal.map((v) => [v, reference[v]!]));
  const found = await ran(host, severed(actual, given), dir, { ...feeds, ...given });
  return equal.map((value) => ({ name: names.get(value)!, value, relative: distance(given[value]!, found[value + OWN]!) }));
}

async function ran(host: Host, model: Model, dir: string, feeds: Record<string, Value>): Promise<Record<string, Value>> {
  const session = await host.session(model, dir);
  return session.run(feeds).finally(() => session.close());
}

/** The model with `given` values as inputs for whoever reads them; what the graph itself makes of each is an output beside it. */
function severed(model: Model, given: Readonly<Record<string, Value>>): Model {
  const { graph } = model;
  const inputs = Object.entries(given).map(([name, { dtype, shape }]): ValueInfo => ({ name, dtype, shape }));
  return {
    ...model,
    graph: {
      ...graph,
      nodes: graph.nodes.map((n) => ({ ...n, outputs: n.outputs.map((o) => (o in given ? o + OWN : o)) })),
      inputs: [...graph.inputs, ...inputs],
      outputs: inputs.map((i) => ({ ...i, name: i.name + OWN })),
      values: new Map([...graph.values].filter(([name]) => !(name in given))),
    },
  };
}
