/** Rows of the plan: ports that differ in their block alone share a row. */
import type { ExplainedPort } from '../../compiler/explain.ts';

export interface PlanRow {
  /** `layers.{0..5}.mlp.fc1` */
  readonly path: string;
  readonly role: string;
  readonly port: string;
  readonly sites: number;
  readonly type: string;
  readonly before?: number;
  readonly after?: number;
  readonly ops: readonly string[];
  readonly by?: ExplainedPort['by'];
  readonly shadowed: ExplainedPort['shadowed'];
  readonly refused?: string;
}

const span = (n: readonly number[]): string =>
  n.length > 1 && n.every((b, i) => i === 0 || b === n[i - 1]! + 1) ? `${n[0]}..${n.at(-1)}` : n.join(',');

/** Typed ports, folded, in the order of the plan. Sizes are those of all sites of a row. */
export function planRows(ports: readonly ExplainedPort[]): PlanRow[] {
  const groups = new Map<string, { first: ExplainedPort; pieces: readonly string[]; blocks: number[]; ports: ExplainedPort[] }>();
  for (const p of ports) {
    if (p.type === undefined) continue;
    const cut = p.block === undefined ? null : /^(.*?\.)(\d+)(\..*)?$/.exec(p.path);
    const pieces = cut ? [cut[1]!, cut[3] ?? ''] : [p.path];
    const key = JSON.stringify([pieces, p.role, p.port, p.type, p.by?.at, p.ops, p.refused]);
    const g = groups.get(key) ?? { first: p, pieces, blocks: [], ports: [] };
    if (cut) g.blocks.push(Number(cut[2]));
    g.ports.push(p);
    groups.set(key, g);
  }
  const sum = (all: readonly ExplainedPort[], of: 'bytesBefore' | 'bytesAfter') => all.reduce((n, p) => n + (p[of] ?? 0), 0);
  return [...groups.values()].map(({ first, pieces, blocks, ports }) => {
    const [head = '', tail] = pieces;
    const path = tail === undefined ? head : `${head}${blocks.length > 1 ? `{${span(blocks)}}` : blocks[0]}${tail}`;
    const sized = first.bytesBefore !== undefined && first.bytesAfter !== undefined;
    return {
      path,
      role: first.role,
      port: first.port,
      sites: ports.length,
      type: first.type!,
      ...(sized ? { before: sum(ports, 'bytesBefore'), after: sum(ports, 'bytesAfter') } : {}),
      ops: first.ops ?? [],
      ...(first.by ? { by: first.by } : {}),
      shadowed: first.shadowed,
      ...(first.refused === undefined ? {} : { refused: first.refused }),
    };
  });
}
