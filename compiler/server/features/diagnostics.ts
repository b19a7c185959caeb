/** Diagnostics: every mistake of `qc check`, and with a model those of the plan. */
import type { DiagnosticSeverity, Diagnostic as Lsp } from 'vscode-languageserver-types';
import type { Diagnostic } from '../../../grammar/diagnostics.ts';
import { textOf } from '../symbols.ts';
import type { Document, Workspace } from '../workspace.ts';

const severities = { error: 1, warning: 2, info: 3 } as const satisfies Record<string, DiagnosticSeverity>;

/** The diagnostics of a document. A mistake in a file that it uses stands at the `use`, with the place itself as related information. */
export function diagnostics(ws: Workspace, d: Document, all: readonly Diagnostic[]): Lsp[] {
  return all.map((x) => diagnosticOf(ws, d, x));
}

export function diagnosticOf(ws: Workspace, d: Document, x: Diagnostic): Lsp {
  const own = x.span === undefined || x.span.file === d.path;
  const related = [...(own || !x.span ? [] : [{ message: x.message, span: x.span }]), ...(x.related ?? [])].flatMap((r) => {
    const file = r.span.file === d.path ? d : ws.document(r.span.file);
    return file ? [{ message: r.message, location: { uri: file.uri, range: file.rangeOf(r.span) } }] : [];
  });
  const range = x.span === undefined ? d.range(0, 0) : own ? d.rangeOf(x.span) : useOf(ws, d, x.span.file);
  return {
    range,
    severity: severities[x.severity],
    code: x.code,
    source: 'qc',
    message: `${own ? x.message : `In ${x.span?.file}: ${x.message}`}${x.hint ? `\n${x.hint}` : ''}`,
    ...(related.length ? { relatedInformation: related } : {}),
  };
}

/** The `use` that brings a file, directly or through others (then the first). */
function useOf(ws: Workspace, d: Document, file: string): Lsp['range'] {
  const uses = d.scan.declarations.filter((x) => x.kind === 'use' && x.source);
  const direct = uses.find((u) => {
    const found = ws.use(textOf(u.source!.image), d.path);
    return !('error' in found) && found.path === file;
  });
  const at = (direct ?? uses[0])?.source;
  return at ? d.range(at.startOffset, at.startOffset + at.image.length) : d.range(0, 0);
}
