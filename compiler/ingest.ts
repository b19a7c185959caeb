/** `ingest`: a quantized model → the recipe that describes it. Its graph alone is read, not what its metadata say. */
import { type Diagnostic, fail, QcError } from '../grammar/diagnostics.ts';
import { print } from '../grammar/printer.ts';
import { check } from './check/check.ts';
import { names } from './driver/planner.ts';
import { openTensors } from './graph/bytes.ts';
import { canonicalize } from './graph/canonical.ts';
import { infer } from './graph/infer.ts';
import { loadModel } from './graph/load.ts';
import type { Model } from './graph/types.ts';
import type { Host } from './host.ts';
import { doc, file, type Line } from './import/ast.ts';
import { identifier, tame } from './import/draft.ts';
import { describe, keyOf, type Numbers, numbersOf } from './ingest/describe.ts';
import { floats } from './ingest/floats.ts';
import { summarize } from './ingest/summary.ts';
import { findSites } from './match/find.ts';
import { plan } from './plan/plan.ts';
import type { Sites } from './sites.ts';

export interface Ingested {
  /** Canonical text of the recipe. */
  readonly text: string;
  /** The numbers of each port that has any, by `site.port`: `int4 group 32`. */
  readonly types: ReadonlyMap<string, string>;
  readonly sites: Sites;
  /** Ports to which the recipe would give other numbers, and what else it does not say. */
  readonly notes: readonly string[];
}

/** The types that a recipe gives to a model, in the words of `Ingested.types`; or why it gives none. */
function planned(text: string, model: Model, sites: Sites): ReadonlyMap<string, string> | Diagnostic {
  const { program, diagnostics } = check({ path: 'ingested', text });
  const recipe = program?.recipes[0];
  if (!recipe) return diagnostics[0] as Diagnostic;
  try {
    const { slots } = plan({ recipe, model, sites, names });
    return new Map(
      slots.flatMap((s) =>
        s.what === 'type' && s.type
          ? [[`${s.site.id}.${s.port}`, keyOf(numbersOf(s.type, s.site.ports[s.port]?.kind ?? 'activation'))]]
          : [],
      ),
    );
  } catch (e) {
    if (e instanceof QcError) return e.diagnostics[0] as Diagnostic;
    throw e;
  }
}

function written(
  name: string,
  of: string,
  sites: Sites,
  numbers: ReadonlyMap<string, Numbers>,
  tie: boolean,
  notes: readonly string[],
): string {
  const { statements, left } = summarize(sites, numbers, tie);
  const lines: Line[] = [
    { stmt: doc(tame(`Read by qc from ${of}: the numbers of its graph, not how they were found.`)), notes: [] },
    ...statements.map((stmt, i) => ({ stmt, notes: [], blank: i === 0 })),
  ];
  const foot = [...left.map((l) => `Stays in float: ${tame(l, 400)}`), ...notes.map((n) => tame(n, 400))];
  return print(file(identifier(name), lines, foot));
}

/** Where two maps of types differ, in words. */
function differences(found: ReadonlyMap<string, string>, given: ReadonlyMap<string, string>): string[] {
  const keys = [...new Set([...found.keys(), ...given.keys()])];
  return keys.flatMap((k) =>
    found.get(k) === given.get(k) ? [] : [`${k} is ${found.get(k) ?? 'float'}, the recipe says ${given.get(k) ?? 'float'}`],
  );
}

/**
 * Reads a quantized ONNX model: QDQ, QOperator and integer operators, blocked weights, MatMulNBits, fp8, and what qc emits itself.
 * @throws QcError those of loadModel; nothing-quantized
 */
export async function ingest(
  host: Pick<Host, 'open'>,
  path: string,
  options: { readonly name: string; readonly of: string },
): Promise<Ingested> {
  const loaded = await loadModel(host, path);
  const reader = openTensors(host, loaded.dir);
  try {
    const own = { ...loaded.model, functions: loaded.model.functions.filter((f) => f.domain !== 'qc.v1') };
    const { model: bare, notes: annotations, left } = await floats(infer(canonicalize(own)), reader);
    const model = infer(canonicalize(bare));
    const sites = findSites(model);
    const { numbers, unused } = describe(sites, annotations, model);
    if (numbers.size === 0)
      fail('nothing-quantized', `${options.of} has no quantized weight or input that qc recognizes`, '`qc inspect` shows what is in it.');
    const types = new Map([...numbers].map(([k, n]) => [k, keyOf(n)]));
    const notes: string[] = [];
    if (unused) notes.push(`${unused} quantized inputs of other operators (Add, Mul and such): a recipe speaks of ports of roles.`);
    for (const [op, n] of left) notes.push(`${n} × ${op}: not understood.`);
    const write = (tie: boolean, more: readonly string[]) => written(options.name, options.of, sites, numbers, tie, [...notes, ...more]);
    let tie = false;
    let given = planned(write(tie, []), model, sites);
    if (!(given instanceof Map)) {
      tie = true;
      given = planned(write(tie, []), model, sites);
    }
    const wrong = given instanceof Map ? differences(types, given) : [`qc would refuse this recipe: ${(given as Diagnostic).message}`];
    const told = wrong.length > 8 ? [...wrong.slice(0, 8), `and ${wrong.length - 8} more differences`] : wrong;
    return { text: write(tie, told), types, sites, notes: [...notes, ...told] };
  } finally {
    await reader.close();
  }
}
