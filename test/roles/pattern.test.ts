import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Add,
  constant,
  Div,
  either,
  equals,
  type Failure,
  isMatch,
  type Match,
  Mul,
  match,
  number,
  op,
  type Pattern,
  product,
  Sqrt,
  through,
  value,
} from '../../compiler/match/pattern.ts';
import { createView } from '../../compiler/match/view.ts';
import { Builder } from './build.ts';

const x = value('x');
/** Matches a pattern against what a graph yields. */
function run(pattern: Pattern, make: (b: Builder) => string): Match | Failure {
  const b = new Builder();
  const root = b.output(make(b));
  return match(createView(b.model()), pattern, root);
}
const why = (m: Match | Failure): string => (isMatch(m) ? 'matched' : m.why);
const input = (b: Builder, name = 'a') => b.input(name, [2, 2]);

test('captures: values, constants, numbers, and the nodes in order', () => {
  const m = run(Add(Mul(x, constant('w')), number('eps')), (b) =>
    b.op('Add', [b.number(0.25), b.op('Mul', [b.weight('gain', [2]), input(b)])]),
  );
  assert.ok(isMatch(m));
  assert.is(m.values.get('x'), 'a');
  assert.is(m.constants.get('w')!.name, 'gain');
  assert.is(m.numbers.get('eps'), 0.25);
  assert.equal(
    m.nodes.map((n) => n.op),
    ['Mul', 'Add'],
  );
});

test('a name that comes twice is one value; operands are tried in both orders, with what was captured undone', () => {
  const pattern = Mul(Sqrt(x), x);
  assert.ok(isMatch(run(pattern, (b) => b.op('Mul', [input(b), b.op('Sqrt', ['a'])]))));
  assert.match(
    why(run(pattern, (b) => b.op('Mul', [b.op('Sqrt', [input(b)]), input(b, 'c')]))),
    /x is "a" in one place and "c" in another/,
  );
  const both = Add(Mul(x, number('n')), Mul(x, value('y')));
  assert.ok(isMatch(run(both, (b) => b.op('Add', [b.op('Mul', [input(b), input(b, 'c')]), b.op('Mul', [b.number(2), 'a'])]))));
});

test('alternatives, optional nodes, products in any association', () => {
  assert.ok(
    isMatch(run(through(['Cast'], Sqrt(x)), (b) => b.op('Cast', [b.op('Cast', [b.op('Sqrt', [input(b)])], { to: 10 })], { to: 1 }))),
  );
  const half = either(Div(x, equals(2)), Mul(x, equals(0.5)));
  assert.ok(isMatch(run(half, (b) => b.op('Mul', [b.number(0.5), input(b)]))));
  for (const order of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 2, 0],
  ] as const) {
    const m = run(product(x, value('y'), equals(3)), (b) => {
      const all = [input(b), input(b, 'c'), b.number(3)];
      return b.op('Mul', [b.op('Mul', [all[order[0]]!, all[order[1]]!]), all[order[2]]!]);
    });
    assert.ok(isMatch(m), order.join());
  }
});

test('a miss tells the reason that lies deepest, and what was looked at', () => {
  const pattern = either(Sqrt(x), Add(Sqrt(Mul(x, equals(2))), x));
  const m = run(pattern, (b) => b.op('Add', [b.op('Sqrt', [b.op('Mul', [input(b), b.number(5)])]), 'a']));
  assert.not(isMatch(m));
  assert.match(why(m), /is 5, not 2/);
  assert.equal([...(m as Failure).seen].map((n) => n.op).sort(), ['Add', 'Mul', 'Sqrt']);
  assert.match(why(run(Sqrt(x), (b) => b.op('Exp', [input(b)]))), /comes from Exp, not Sqrt/);
});

test('a check on a node gives its own reason', () => {
  const pattern = op('Concat', [x], (n) => (n.inputs.length === 2 ? undefined : `${n.name} joins ${n.inputs.length}`));
  assert.is(why(run(pattern, (b) => b.op('Concat', [input(b), 'a', 'a'], { axis: 0 }, { name: 'join' }))), 'join joins 3');
});

test.run();
