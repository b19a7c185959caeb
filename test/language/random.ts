/** Random recipes: syntax trees and comments, from a seed. */
import type { Arg, BinaryOp, Expr, File, Name, RecordExpr, Stmt, Text } from '../../grammar/ast.ts';
import { reserved } from '../../grammar/tokens.ts';

export type Rng = () => number;
/** mulberry32 */
export function rng(seed: number): Rng {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const span = { file: '', start: 0, end: 0, line: 1, column: 1 };
const binary: BinaryOp[] = ['or', 'and', '<=', '>=', '==', '<', '>', '+-', '->', '<->', '+', '-', '*', '/'];
const words = ['language', 'linear', 'conv', 'x', 'B', 'alpha', 'version', 'bits', 'mse', 'attention', 'a_1'];

/** A file with random statements. */
export function randomFile(random: Rng): File {
  const int = (n: number): number => Math.floor(random() * n);
  const pick = <X>(all: readonly X[]): X => all[int(all.length)]!;
  const some = <X>(most: number, make: () => X): X[] => Array.from({ length: int(most + 1) }, make);
  const maybe = <K extends string, X>(key: K, make: () => X): { [k in K]?: X } =>
    random() < 0.5 ? ({ [key]: make() } as { [k in K]: X }) : {};
  const name = (): Name => ({ kind: 'name', name: pick(words), span });
  const key = (): Name => ({ kind: 'name', name: pick([...words, ...reserved]), span });
  const text = (): Text => ({
    kind: 'string',
    value: pick(['', 'lm_head', 'a "b" \\d+', 'layers\\.\\d', 'ends with \\', '#no comment', 'ü → {x}']),
    span,
  });
  const number = (): Expr => {
    const t = pick(['0', '1', '0.30', '7e-8', '1.12', '128', '4.5', '1E+3']);
    return {
      kind: 'number',
      text: t,
      value: Number(t),
      ...maybe('unit', () => pick(['dB', '%', 'x', 'B', 'KB', 'MB', 'GB', 'ms', 'M'])),
      span,
    };
  };
  const record = (depth: number): RecordExpr => ({
    kind: 'record',
    fields: some(4, () => ({ kind: 'field' as const, key: key(), value: expr(depth - 1), span })),
    span,
  });
  const callee = (depth: number): Expr =>
    depth > 0 && random() < 0.3 ? { kind: 'member', of: callee(depth - 1), name: key(), span } : name();
  const arg = (depth: number): Arg => ({ kind: 'arg', ...maybe('name', key), value: expr(depth), span });
  const expr = (depth: number): Expr => {
    if (depth <= 0) return pick([name, number, text, () => ({ kind: 'ratio' as const, n: int(9), of: int(9), span })])();
    return pick<() => Expr>([
      () => expr(0),
      () => ({ kind: 'binary', op: pick(binary), left: expr(depth - 1), right: expr(depth - 1), span }),
      () => ({ kind: 'binary', op: pick(binary), left: expr(depth - 1), right: expr(depth - 1), span }),
      () => ({ kind: 'range', from: expr(depth - 1), to: expr(depth - 1), ...maybe('by', () => expr(depth - 1)), span }),
      () => ({ kind: 'unary', op: pick(['not', '-'] as const), of: expr(depth - 1), span }),
      () => ({ kind: 'list', items: some(3, () => expr(depth - 1)), span }),
      () => record(depth),
      () => ({ kind: 'call', callee: callee(2), args: some(3, () => arg(depth - 1)), span }),
      () => ({ kind: 'member', of: callee(2), name: key(), span }),
    ])();
  };
  const e = (): Expr => expr(int(4));
  const fields = (): { fields?: RecordExpr } => maybe('fields', () => record(2));
  const evaluate = (): Stmt & { kind: 'evaluate' } => ({ kind: 'evaluate', what: e(), ...fields(), span });
  const let_ = (): Stmt & { kind: 'let' } =>
    random() < 0.5
      ? { kind: 'let', name: name(), value: e(), span }
      : { kind: 'let', name: name(), domain: e(), ...maybe('each', e), span };
  const stmt = (): Stmt =>
    pick<() => Stmt>([
      let_,
      evaluate,
      () => ({ kind: 'doc', text: text(), span }),
      () => ({ kind: 'schedule', name: name(), fields: record(2), span }),
      () => ({ kind: 'calibrate', source: e(), ...fields(), span }),
      () => ({ kind: 'transform', name: name(), on: e(), ...fields(), span }),
      () => ({ kind: 'quantize', ports: some(2, name), of: e(), as: e(), ...fields(), span }),
      () => ({ kind: 'prune', of: e(), as: e(), ...fields(), span }),
      () => ({ kind: 'solve', name: name(), on: e(), ...fields(), span }),
      () => ({ kind: 'search', names: [name(), ...some(2, name)], fields: record(2), span }),
      () => ({ kind: 'keep', of: e(), ...maybe('at', e), span }),
      () => ({ kind: 'apply', what: e(), ...maybe('to', e), span }),
      () => ({ kind: 'target', name: name(), ...fields(), span }),
      () => ({ kind: 'require', condition: e(), span }),
    ])();
  return {
    kind: 'file',
    ...maybe('language', () => ({ kind: 'language' as const, version: { kind: 'number' as const, text: '1', value: 1, span }, span })),
    uses: some(2, () => ({ kind: 'use' as const, source: text(), alias: name(), span })),
    items: some(3, () =>
      pick<() => File['items'][number]>([
        let_,
        evaluate,
        () => ({
          kind: 'recipe',
          name: name(),
          ...maybe('title', text),
          version: text(),
          params: some(3, () => ({ kind: 'param' as const, name: name(), value: e(), ...maybe('domain', e), span })),
          body: some(6, stmt),
          span,
        }),
      ])(),
    ),
    trivia: new Map(),
    span,
  };
}
