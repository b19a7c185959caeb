/** Folding: brackets over several lines, and blocks of comments. */
import type { FoldingRange } from 'vscode-languageserver-types';
import type { Document } from '../workspace.ts';

export function folding(d: Document): FoldingRange[] {
  const brackets = d.scan.pairs.flatMap(([open, close]): FoldingRange[] => {
    const [startLine, last] = [d.positionAt(open.startOffset).line, d.positionAt(close.startOffset).line - 1];
    return last > startLine ? [{ startLine, endLine: last }] : [];
  });
  const comments: FoldingRange[] = [];
  const lines = d.text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const startLine = i;
    while (/^\s*#/.test(lines[i + 1] ?? '') && /^\s*#/.test(lines[startLine] ?? '')) i++;
    if (i > startLine) comments.push({ startLine, endLine: i, kind: 'comment' });
  }
  return [...brackets, ...comments].sort((a, b) => a.startLine - b.startLine);
}
