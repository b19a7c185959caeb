/** Search methods on spaces whose answer is known. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Assignment, SearchMethod, Space, Trial } from '../../compiler/define.ts';
import { withDefaults } from '../../compiler/plan/resolve.ts';
import { searches } from '../../compiler/searches/index.ts';
import type { QcError } from '../../grammar/diagnostics.ts';

type Score = (a: Assignment) => Trial;
async function run(
  name: string,
  space: Space,
  score: Score,
  args: Record<string, unknown> = {},
): Promise<{ best: Assignment; trials: number }> {
  const method = searches.find((m) => m.name === name) as SearchMethod;
  const seen = new Set<string>();
  const best = await method.run(
    space,
    async (a) => {
      seen.add(JSON.stringify(a));
      return score(a);
    },
    withDefaults(method.params, args) as never,
  );
  return { best, trials: seen.size };
}
const free =
  (f: (a: Assignment) => number): Score =>
  (a) => ({ objective: f(a), feasible: true });

test('grid finds the best of all combinations', async () => {
  const space = ['x', 'y'].map((name) => ({ name, domain: [0, 1, 2, 3] }));
  const { best, trials } = await run(
    'grid',
    space,
    free((a) => (Number(a['x']) - 2) ** 2 + (Number(a['y']) - Number(a['x'])) ** 2),
  );
  assert.equal(best, { x: 2, y: 2 });
  assert.is(trials, 16);
});

test('grid refuses a space that is too large', async () => {
  const space = Array.from({ length: 20 }, (_, i) => ({ name: `v${i}`, domain: [0, 1] }));
  try {
    await run(
      'grid',
      space,
      free(() => 0),
    );
    assert.unreachable();
  } catch (e) {
    assert.is((e as QcError).diagnostics[0]?.code, 'search-size');
  }
});

test('coordinate descent goes down a bowl', async () => {
  const space = ['x', 'y', 'z'].map((name) => ({ name, domain: [0, 1, 2, 3, 4] }));
  const { best } = await run(
    'coordinate',
    space,
    free((a) => (Number(a['x']) - 3) ** 2 + (Number(a['y']) - 1) ** 2 + Math.abs(Number(a['z']) - 4)),
  );
  assert.equal(best, { x: 3, y: 1, z: 4 });
});

test('golden section finds the valley in few trials', async () => {
  const domain = Array.from({ length: 101 }, (_, i) => i / 100);
  for (const at of [0, 0.07, 0.5, 0.73, 1]) {
    const { best, trials } = await run(
      'golden',
      [{ name: 'a', domain }],
      free((a) => (Number(a['a']) - at) ** 2),
    );
    assert.is(best['a'], at);
    assert.ok(trials < 25, `${trials}`);
  }
});

test('sitewise takes each variable for itself', async () => {
  const space = Array.from({ length: 6 }, (_, i) => ({ name: `v${i}`, domain: ['a', 'b', 'c'] }));
  const { best, trials } = await run(
    'sitewise',
    space,
    free((a) => space.reduce((s, v, i) => s + (a[v.name] === 'abc'[i % 3] ? 0 : 1), 0)),
  );
  assert.equal(Object.values(best).join(''), 'abcabc');
  assert.ok(trials <= 6 * 3 + 1);
});

/** Bits of layers with sizes and sensitivities; the budget is on mean bits. */
const sizes = [5, 3, 8, 1, 4, 6];
const pain = [1, 9, 2, 30, 4, 3];
const layers: Space = sizes.map((_, i) => ({ name: `l${i}`, domain: [8, 4, 2] }));
const bits = (a: Assignment, i: number): number => Number(a[`l${i}`]);
const cost = (a: Assignment): number => sizes.reduce((s, n, i) => s + n * bits(a, i), 0) / sizes.reduce((s, n) => s + n, 0);
const allocation: Score = (a) => {
  const c = cost(a);
  return { objective: pain.reduce((s, p, i) => s + p * 4 ** (4 - bits(a, i)), 0), feasible: c <= 4.2, cost: c, limit: 4.2 };
};
/** The best allocation by trying all of them. */
function exact(): number {
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 3 ** 6; n++) {
    const a = Object.fromEntries(layers.map((v, i) => [v.name, v.domain[Math.floor(n / 3 ** i) % 3]!]));
    const t = allocation(a);
    if (t.feasible) best = Math.min(best, t.objective);
  }
  return best;
}

test('ilp is exact', async () => {
  const { best } = await run('ilp', layers, allocation);
  assert.ok(allocation(best).feasible);
  assert.ok(Math.abs(allocation(best).objective - exact()) < 1e-9);
});

test('greedy keeps the budget and is not far from exact', async () => {
  const { best } = await run('greedy', layers, allocation);
  assert.ok(allocation(best).feasible);
  assert.ok(allocation(best).objective < 2 * exact());
});

for (const name of ['grid', 'ilp', 'greedy', 'sitewise', 'coordinate'])
  test(`${name}: a budget that nothing keeps is an error`, async () => {
    try {
      await run(name, layers, (a) => ({ objective: 0, feasible: false, cost: cost(a), limit: 1 }));
      assert.unreachable();
    } catch (e) {
      assert.is((e as QcError).diagnostics?.[0]?.code, 'budget');
      assert.match((e as Error).message, '1.00000 is allowed');
    }
  });

test.run();
