/** The canonical text of a recipe file: what `qc fmt` writes. Comments and single empty lines are kept in place. */
import type { Expr, Field, File, Item, Language, Node, ParamDecl, RecipeDecl, RecordExpr, Stmt, Trivia, Use } from './ast.ts';
import { blank, comment, type Doc, group, hard, indent, join, layout, line, soft, whenBroken } from './doc.ts';
import { precedence, unaryMinus } from './expression.ts';
import { quote } from './literals.ts';

const width = 140;

/** Prints a file in canonical form, with a newline at its end. */
export function print(file: File): string {
  const text = layout(printer(file.trivia).file(file), width);
  return text === '' ? '' : `${text}\n`;
}

/** The canonical text of one expression or statement, without its comments, on as few lines as fit. */
export function printNode(n: Expr | Stmt): string {
  return layout(isStatement(n) ? bare.statement(n) : bare.expression(n), width);
}

const isStatement = (n: Expr | Stmt): n is Stmt =>
  !['number', 'string', 'name', 'record', 'ratio', 'list', 'call', 'member', 'binary', 'range', 'unary', 'broken'].includes(n.kind);

const isEdge = (e: Expr): boolean => e.kind === 'binary' && (e.op === '->' || e.op === '<->');
function levelOf(e: Expr): number {
  if (e.kind === 'binary') return precedence(e.op);
  if (e.kind === 'range') return precedence('..');
  if (e.kind === 'unary') return e.op === 'not' ? precedence('not') : unaryMinus;
  return Number.POSITIVE_INFINITY;
}

function printer(trivia: ReadonlyMap<Node, Trivia>) {
  /** Comments before, the node, comments at the end of its line. Comments on lines below it come apart, for after a comma. */
  const opens = new Set<Node>();
  const parts = (n: Node, doc: Doc): { doc: Doc; below: Doc } => {
    const t = trivia.get(n);
    if (t === undefined) return { doc, below: [] };
    const lead = t.lead.filter((c) => c.own || !opens.has(n)).map((c) => comment(c.text, c.own, !c.own));
    const trail = t.trail.map((c) => comment(c.text, c.own, true));
    const own = t.trail.findIndex((c) => c.own);
    const split = own < 0 ? trail.length : own;
    return { doc: [...lead, doc, ...trail.slice(0, split)], below: trail.slice(split) };
  };
  const around = (n: Node, doc: Doc): Doc => {
    const p = parts(n, doc);
    return [p.doc, p.below];
  };

  const expression = (e: Expr, level = 0): Doc => {
    const inner = inside(e);
    return around(e, levelOf(e) < level ? group(['(', inner, ')']) : inner);
  };
  const inside = (e: Expr): Doc => {
    switch (e.kind) {
      case 'number':
        return `${e.text}${e.unit ?? ''}`;
      case 'string':
        return quote(e.value);
      case 'name':
        return e.name;
      case 'ratio':
        return `${e.n}:${e.of}`;
      case 'record':
        return record(e);
      case 'list':
        return bracketed('[', e, e.items, inside, soft, ']', true);
      case 'call':
        return [
          expression(e.callee, unaryMinus + 1),
          bracketed('(', e, e.args, (a) => [a.name ? [around(a.name, a.name.name), ': '] : [], expression(a.value)], soft, ')', false),
        ];
      case 'member':
        return [expression(e.of, unaryMinus + 1), '.', around(e.name, e.name.name)];
      case 'unary':
        return e.op === 'not' ? ['not ', expression(e.of, precedence('not'))] : ['-', expression(e.of, unaryMinus)];
      case 'range': {
        const level = precedence('..') + 1;
        const by = e.by ? [' by ', expression(e.by, level)] : [];
        return [expression(e.from, level), '..', expression(e.to, level), by];
      }
      case 'binary': {
        const level = precedence(e.op);
        const chained = !['==', '<=', '>=', '<', '>', '+-', '->', '<->'].includes(e.op);
        const edges = e.op === 'or' || e.op === 'and' || e.op === '->' || e.op === '<->';
        const operand = (x: Expr, least: number): Doc => expression(x, edges && isEdge(x) ? unaryMinus + 1 : least);
        return group([operand(e.left, chained ? level : level + 1), ` ${e.op}`, indent([line, operand(e.right, level + 1)])]);
      }
      case 'broken':
        return '';
    }
  };
  /** A list of things between brackets, on one line or one a line. */
  const bracketed = <N extends Node>(
    open: string,
    owner: Node,
    items: readonly N[],
    each: (n: N) => Doc,
    edge: Doc,
    close: string,
    trailing: boolean,
  ): Doc => {
    if (items.length === 0) {
      const inner = trivia.get(owner)?.inner ?? [];
      const late = inner.filter((c) => !c.own).map((c) => comment(c.text, false, true));
      const own = inner.filter((c) => c.own).map((c) => comment(c.text, true, false));
      if (inner.length === 0) return `${open}${close}`;
      return group([open, late, own.length ? indent([hard, own]) : [], hard, close]);
    }
    // A comment behind the opening bracket stays there.
    const first = items[0] as N;
    opens.add(first);
    const opening = (trivia.get(first)?.lead ?? []).filter((c) => !c.own).map((c) => comment(c.text, false, true));
    const rows = items.map((n, i) => {
      const p = parts(n, each(n));
      return [p.doc, i < items.length - 1 ? ',' : trailing ? whenBroken(',') : [], p.below];
    });
    // Comments of items stay with their items, so these stand one a line.
    const commented = items.some((n) => trivia.get(n)?.lead.length || trivia.get(n)?.trail.length);
    return group([open, opening, indent([edge, join(line, rows)]), edge, close], commented);
  };
  const record = (r: RecordExpr): Doc =>
    bracketed('{', r, r.fields, (f: Field) => [around(f.key, f.key.name), ': ', expression(f.value)], line, '}', true);
  const rec = (r: RecordExpr | undefined): Doc => (r ? [' ', around(r, record(r))] : []);
  const name = (n: { readonly kind: 'name'; readonly name: string } & Node): Doc => around(n, n.name);

  const statement = (s: Stmt): Doc => {
    switch (s.kind) {
      case 'let':
        if (s.value) return ['let ', name(s.name), ' = ', expression(s.value)];
        return ['let ', name(s.name), ' in ', s.domain ? expression(s.domain) : '', s.each ? [' each ', expression(s.each)] : []];
      case 'doc':
        return ['doc ', expression(s.text)];
      case 'evaluate':
        return ['evaluate ', expression(s.what), rec(s.fields)];
      case 'schedule':
        return ['schedule ', name(s.name), rec(s.fields)];
      case 'calibrate':
        return ['calibrate ', expression(s.source), rec(s.fields)];
      case 'transform':
      case 'solve':
        return [`${s.kind} `, name(s.name), ' on ', expression(s.on), rec(s.fields)];
      case 'quantize':
        return [
          'quantize ',
          s.ports.length ? [join(', ', s.ports.map(name)), ' of '] : [],
          expression(s.of),
          ' as ',
          expression(s.as),
          rec(s.fields),
        ];
      case 'prune':
        return ['prune ', expression(s.of), ' as ', expression(s.as), rec(s.fields)];
      case 'search':
        return ['search ', join(', ', s.names.map(name)), rec(s.fields)];
      case 'keep':
        return ['keep ', expression(s.of), s.at ? [' at ', expression(s.at)] : []];
      case 'apply':
        return ['apply ', expression(s.what), s.to ? [' to ', expression(s.to)] : []];
      case 'target':
        return ['target ', name(s.name), rec(s.fields)];
      case 'require':
        return ['require ', expression(s.condition)];
    }
  };
  const item = (n: Language | Use | Item): Doc =>
    n.kind === 'language'
      ? ['language ', expression(n.version)]
      : n.kind === 'use'
        ? use(n)
        : n.kind === 'recipe'
          ? recipe(n)
          : statement(n);
  const use = (u: Use): Doc => ['use ', expression(u.source), ' as ', name(u.alias)];
  const recipe = (r: RecipeDecl): Doc => {
    const inner = trivia.get(r)?.inner ?? [];
    const opening = inner.filter((c) => !c.own).map((c) => comment(c.text, false, true));
    const param = (p: ParamDecl): Doc => [name(p.name), ' = ', expression(p.value), p.domain ? [' in ', expression(p.domain)] : []];
    const params = r.params.length ? [' ', bracketed('(', r, r.params, param, soft, ')', false)] : [];
    const head = ['recipe ', name(r.name), r.title ? [' ', expression(r.title)] : [], ' version ', expression(r.version), params, ' {'];
    const body = r.body.length ? [block(r.body, statement)] : inner.filter((c) => c.own).map((c) => comment(c.text, true, false));
    return [head, opening, body.length ? [indent([hard, body]), hard] : opening.length ? hard : '', '}'];
  };
  /** Statements one a line, with the single empty lines that stood between them. */
  const block = <N extends Node>(nodes: readonly N[], each: (n: N) => Doc): Doc =>
    nodes.map((n, i) => {
      const t = trivia.get(n);
      const lead = (t?.lead ?? []).map((c, k) => [c.blank && i + k > 0 ? blank : [], comment(c.text, true, false)]);
      const trail = (t?.trail ?? []).map((c) => [c.own && c.blank ? blank : [], comment(c.text, c.own, true)]);
      return [i > 0 ? hard : [], lead, t?.blank && i + lead.length > 0 ? blank : [], group(each(n)), trail];
    });

  return {
    statement,
    expression: (e: Expr) => expression(e),
    file: (f: File): Doc => {
      const inner = (trivia.get(f)?.inner ?? []).map((c) => comment(c.text, true, false));
      return [inner, block([...(f.language ? [f.language] : []), ...f.uses, ...f.items], item)];
    },
  };
}

/** Prints without comments. */
const bare = printer(new Map());
