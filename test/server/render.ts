/** Answers of the server as text that one can read. */

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as P from 'vscode-languageserver-protocol/node';
import { legend } from '../../compiler/server/features/semantic-tokens.ts';
import type { Client } from './client.ts';

export interface Place {
  readonly uri: string;
  readonly position: P.Position;
}
export interface Question {
  readonly verb: string;
  readonly place: Place;
  readonly rest: readonly string[];
  readonly texts: ReadonlyMap<string, string>;
  readonly here: string;
}

const at = (p: P.Position): string => `${p.line + 1}:${p.character + 1}`;
const span = (r: P.Range): string => `${at(r.start)}-${at(r.end)}`;
function shortOf(uri: string, here: string): string {
  const path = fileURLToPath(uri);
  const own = relative(here, path);
  return own.startsWith('..') ? `<qc>/${relative(process.cwd(), path)}` : own;
}
function offset(text: string, p: P.Position): number {
  const lines = text.split('\n');
  return lines.slice(0, p.line).reduce((n, l) => n + l.length + 1, 0) + p.character;
}
const cut = (text: string, r: P.Range): string => text.slice(offset(text, r.start), offset(text, r.end));
function edited(text: string, edits: readonly P.TextEdit[]): string {
  const sorted = [...edits].sort((a, b) => offset(text, b.range.start) - offset(text, a.range.start));
  return sorted.reduce((t, e) => t.slice(0, offset(text, e.range.start)) + e.newText + t.slice(offset(text, e.range.end)), text);
}
const kinds: Readonly<Record<number, string>> = {
  14: 'word',
  3: 'function',
  10: 'key',
  12: 'value',
  20: 'choice',
  7: 'role',
  6: 'name',
  9: 'package',
  11: 'unit',
  17: 'file',
  25: 'type',
};

/** Asks and gives the answer; a refusal is an answer too. */
export async function ask(client: Client, q: Question): Promise<string> {
  try {
    return await answers[q.verb]!(client, q);
  } catch (e) {
    if (e instanceof P.ResponseError) return `refused: ${e.message}`;
    throw e;
  }
}

const answers: Readonly<Record<string, (client: Client, q: Question) => Promise<string>>> = {
  async diagnostics(client, q) {
    const all = await client.diagnostics(q.place.uri);
    const lines = all.map((d) => {
      const related = (d.relatedInformation ?? []).map(
        (r) => `\n  ${shortOf(r.location.uri, q.here)} ${span(r.location.range)} ${r.message}`,
      );
      const message = typeof d.message === 'string' ? d.message : d.message.value;
      return `${span(d.range)} ${['', 'error', 'warning', 'info'][d.severity ?? 0]}[${d.code}] ${message.replaceAll('\n', '\n  ')}${related.join('')}`;
    });
    return lines.length ? lines.join('\n') : 'none';
  },
  async completion(client, q) {
    const found = await client.connection.sendRequest(P.CompletionRequest.type, { textDocument: q.place, position: q.place.position });
    const all = (Array.isArray(found) ? found : (found?.items ?? [])).filter((x) => x.label.startsWith(q.rest[0] ?? ''));
    const lines = all.slice(0, 12).map((x) => {
      const text = x.textEdit?.newText;
      return `${x.label}  ${kinds[x.kind ?? 0]}${x.detail ? `  ${x.detail}` : ''}${text !== x.label ? `  → ${JSON.stringify(text)}` : ''}`;
    });
    if (all.length > 12) lines.push(`… ${all.length - 12} more`);
    return lines.length ? lines.join('\n') : 'nothing';
  },
  async hover(client, q) {
    const found = await client.connection.sendRequest(P.HoverRequest.type, { textDocument: q.place, position: q.place.position });
    return found ? (found.contents as P.MarkupContent).value : 'nothing';
  },
  async definition(client, q) {
    const found = (await client.connection.sendRequest(P.DefinitionRequest.type, {
      textDocument: q.place,
      position: q.place.position,
    })) as P.Location | null;
    return found ? `${shortOf(found.uri, q.here)} ${span(found.range)}` : 'nothing';
  },
  async references(client, q) {
    const found = await client.connection.sendRequest(P.ReferencesRequest.type, {
      textDocument: q.place,
      position: q.place.position,
      context: { includeDeclaration: true },
    });
    return (found ?? []).map((l) => `${shortOf(l.uri, q.here)} ${span(l.range)}`).join('\n') || 'none';
  },
  async rename(client, q) {
    const prepared = (await client.connection.sendRequest(P.PrepareRenameRequest.type, {
      textDocument: q.place,
      position: q.place.position,
    })) as {
      placeholder: string;
    };
    const found = await client.connection.sendRequest(P.RenameRequest.type, {
      textDocument: q.place,
      position: q.place.position,
      newName: q.rest[0] ?? '',
    });
    const files = Object.entries(found?.changes ?? {}).map(
      ([uri, edits]) => `${shortOf(uri, q.here)}\n${edited(q.texts.get(uri) ?? '', edits).replace(/^/gm, '  ')}`,
    );
    return `${prepared.placeholder} → ${q.rest[0]}\n${files.join('\n')}`;
  },
  async format(client, q) {
    const edits = await client.connection.sendRequest(P.DocumentFormattingRequest.type, {
      textDocument: q.place,
      options: { tabSize: 2, insertSpaces: true },
    });
    if (!edits?.length) return 'no change';
    return `${edits.map((e) => span(e.range)).join(' ')}\n${edited(q.texts.get(q.place.uri) ?? '', edits)}`;
  },
  async symbols(client, q) {
    const found = (await client.connection.sendRequest(P.DocumentSymbolRequest.type, { textDocument: q.place })) as P.DocumentSymbol[];
    const tell = (s: P.DocumentSymbol, depth: number): string[] => [
      `${'  '.repeat(depth)}${s.name}${s.detail ? `  ${s.detail}` : ''}  ${span(s.range)}`,
      ...(s.children ?? []).flatMap((c) => tell(c, depth + 1)),
    ];
    return found.flatMap((s) => tell(s, 0)).join('\n');
  },
  async folding(client, q) {
    const found = await client.connection.sendRequest(P.FoldingRangeRequest.type, { textDocument: q.place });
    return (found ?? []).map((f) => `${f.startLine + 1}-${f.endLine + 1}${f.kind ? ` ${f.kind}` : ''}`).join('\n');
  },
  async tokens(client, q) {
    const found = await client.connection.sendRequest(P.SemanticTokensRequest.type, { textDocument: q.place });
    const text = q.texts.get(q.place.uri)?.split('\n') ?? [];
    const lines: string[] = [];
    let [line, column] = [0, 0];
    for (let i = 0; i < (found?.data.length ?? 0); i += 5) {
      const [dl = 0, dc = 0, length = 0, type = 0, bits = 0] = found!.data.slice(i, i + 5);
      column = dl ? dc : column + dc;
      line += dl;
      const modifiers = legend.tokenModifiers.filter((_, k) => bits & (1 << k));
      lines.push(`${line + 1} ${text[line]?.slice(column, column + length)}  ${[legend.tokenTypes[type], ...modifiers].join(' ')}`);
    }
    return lines.join('\n');
  },
  async actions(client, q) {
    const found = await client.connection.sendRequest(P.CodeActionRequest.type, {
      textDocument: q.place,
      range: { start: q.place.position, end: q.place.position },
      context: { diagnostics: [] },
    });
    const lines = (found ?? []).flatMap((a) => {
      if (!('edit' in a)) return [];
      const edits = Object.entries(a.edit?.changes ?? {}).flatMap(([uri, all]) =>
        all.map((e) => `  ${span(e.range)} ${cut(q.texts.get(uri) ?? '', e.range)} → ${e.newText}`),
      );
      return [`${a.title}${a.isPreferred ? ' (preferred)' : ''}`, ...edits];
    });
    return lines.length ? lines.join('\n') : 'none';
  },
  async inlay(client, q) {
    const text = q.texts.get(q.place.uri) ?? '';
    const end = { line: text.split('\n').length, character: 0 };
    const found = await client.connection.sendRequest(P.InlayHintRequest.type, {
      textDocument: q.place,
      range: { start: { line: 0, character: 0 }, end },
    });
    return edited(
      text,
      (found ?? []).map((h) => ({ range: { start: h.position, end: h.position }, newText: `⟨${String(h.label)}⟩` })),
    );
  },
};
