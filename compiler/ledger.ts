/** `explain --ledger`: what a compile did, as its model carries it: which transform moved what where, what solvers decided, what each site became. */
import { fail } from '../grammar/diagnostics.ts';
import { keys } from './driver/metadata.ts';
import { loadModel } from './graph/load.ts';
import type { Host } from './host.ts';
import type { LedgerEntry } from './report/data.ts';

const isEntry = (x: unknown): x is LedgerEntry => {
  const e = x as Partial<Record<string, unknown>> | null;
  return typeof e === 'object' && e !== null && typeof e['what'] === 'string' && typeof e['detail'] === 'string';
};

/** The ledger of a compiled model. Errors: `no-ledger` (qc did not make it, or its metadata is damaged), those of loading. */
export async function ledger(host: Pick<Host, 'open' | 'crunch'>, path: string): Promise<readonly LedgerEntry[]> {
  const { model } = await loadModel(host, path);
  const text = model.metadata.get(keys.ledger);
  const none = (why: string): never => fail('no-ledger', `${path} ${why}`, 'Only models that `qc compile` wrote carry a ledger.');
  if (text === undefined) return none('carries no ledger');
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return none('carries a ledger that is no JSON');
  }
  return Array.isArray(found) && found.every(isEntry) ? found : none('carries a ledger that qc did not write');
}

/** One line an entry, those of one kind together in the order in which they came. */
export function ledgerText(entries: readonly LedgerEntry[]): string {
  const kinds = [...new Set(entries.map((e) => e.what))];
  const lines = kinds.flatMap((kind) => [
    kind,
    ...entries.filter((e) => e.what === kind).map((e) => `  ${e.site === undefined ? '' : `${e.site}: `}${e.detail}`),
  ]);
  return `${lines.join('\n')}\n`;
}
