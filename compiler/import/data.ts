/** Configuration text → plain data. Files come from strangers: nothing in them executes, no key reaches a prototype, sizes are bounded. */
import { type Node as JsonNode, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { fail } from '../../grammar/diagnostics.ts';

/** Objects are Maps in the order of the file. */
export type Data = null | boolean | number | string | readonly Data[] | ReadonlyMap<string, Data>;

/** Configurations are small; what is larger is something else. */
const BYTES = 4 << 20;
const DEPTH = 64;
const VALUES = 200_000;
/** Aliases are followed this often; more is a bomb. */
const ALIASES = 32;

export const isMapping = (d: Data | undefined): d is ReadonlyMap<string, Data> => d instanceof Map;
export const isList = (d: Data | undefined): d is readonly Data[] => Array.isArray(d);

function tooLarge(text: string): void {
  if (text.length > BYTES)
    fail(
      'import-too-large',
      `a configuration of ${text.length} characters; at most ${BYTES} are read`,
      'name the configuration, not the model',
    );
}

/** Brackets that are open at once, outside of texts: parsers recurse on them. */
function tooDeep(text: string): boolean {
  let depth = 0;
  for (const m of text.matchAll(/"(?:[^"\\\n]|\\.)*"|[[\]{}]/g)) {
    if (m[0] === '[' || m[0] === '{') depth++;
    else if (m[0] === ']' || m[0] === '}') depth--;
    if (depth > DEPTH) return true;
  }
  return false;
}
const deep = (): never => fail('import-too-deep', `the configuration is nested more than ${DEPTH} levels deep`);

/** Counts values, so that aliases cannot multiply without end. */
function counter(): () => void {
  let values = 0;
  return () => {
    if (++values > VALUES)
      fail('import-too-large', `the configuration has more than ${VALUES} values`, 'aliases count each time that they are used');
  };
}

/** JSON, also with comments and trailing commas. Errors: import-too-large, import-too-deep, import-syntax. */
export function readJson(text: string, file: string): Data {
  tooLarge(text);
  if (tooDeep(text)) deep();
  const errors: ParseError[] = [];
  const root = parseTree(text.replace(/^\uFEFF/, ''), errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first || !root) {
    const before = text.slice(0, first?.offset ?? 0).split('\n');
    const place = `${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
    return fail('import-syntax', `${place} is not JSON: ${first ? printParseErrorCode(first.error) : 'it is empty'}`);
  }
  const count = counter();
  const plain = (n: JsonNode): Data => {
    count();
    if (n.type === 'array') return (n.children ?? []).map(plain);
    if (n.type !== 'object') return n.value as Data;
    return new Map((n.children ?? []).map((p) => [String(p.children?.[0]?.value), p.children?.[1] ? plain(p.children[1]) : null]));
  };
  return plain(root);
}

/** YAML 1.2 with its core types only. Errors: import-too-large, import-too-deep, import-syntax. */
export function readYaml(text: string, file: string): Data {
  tooLarge(text);
  if (tooDeep(text)) deep();
  const lines = new LineCounter();
  // Block sequences nest by indentation: their depth is bounded by the width of the indentation.
  if (/^ {256}/m.test(text) || /^(?:[-?] ?){65}/m.test(text)) deep();
  const parsed = (() => {
    try {
      return parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core', logLevel: 'silent', uniqueKeys: true });
    } catch (e) {
      return fail('import-syntax', `${file} is not YAML: ${(e as Error).message.split('\n')[0]}`);
    }
  })();
  const [first] = parsed.errors;
  if (first) {
    const at = lines.linePos(first.pos[0]);
    return fail('import-syntax', `${file}:${at.line}:${at.col} is not YAML: ${first.message.split('\n')[0]}`);
  }
  const count = counter();
  let aliases = 0;
  const plain = (n: unknown, depth: number): Data => {
    count();
    if (depth > DEPTH) return deep();
    if (isMap(n)) return new Map(n.items.map((p) => [String(isScalar(p.key) ? p.key.value : p.key), plain(p.value, depth + 1)]));
    if (isSeq(n)) return n.items.map((x) => plain(x, depth + 1));
    if (isScalar(n)) {
      const v = n.value;
      return v === null || typeof v === 'boolean' || typeof v === 'number' || typeof v === 'string' ? v : String(v);
    }
    if (n === null || n === undefined) return null;
    if (++aliases > ALIASES) return fail('import-too-large', `${file} follows more than ${ALIASES} aliases`);
    return plain((n as { resolve(d: unknown): unknown }).resolve(parsed), depth + 1);
  };
  return plain(parsed.contents, 0);
}
