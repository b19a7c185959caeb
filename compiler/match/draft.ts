/** What a role hands back: sites without their names, which `findSites` gives when all are known. */
import type { Node } from '../graph/types.ts';
import type { Miss, Port } from '../sites.ts';
import type { Constant, View } from './view.ts';

/** A site before it has an id, a path, a tied group and a block. */
export interface Draft {
  readonly role: string;
  readonly ports: Readonly<Record<string, Port>>;
  readonly nodes: readonly Node[];
  readonly form: string;
  readonly bias?: string;
  readonly facts: Readonly<Record<string, number | string | boolean | readonly number[]>>;
  readonly size: number;
  /** Sites that this one is made of; its path is their common parent. */
  readonly parts?: readonly Draft[];
}

/** Puts a membership (`attention.q`) on another role's site. */
export interface Tag {
  readonly on: Draft;
  readonly member: string;
}

export interface Found {
  readonly drafts: readonly Draft[];
  readonly misses: readonly Miss[];
  readonly tags?: readonly Tag[];
}

/** What the roles before this one found in the same graph. */
export interface Known {
  of(role: string): readonly Draft[];
  /** The site that yields a value; of several, the one that was found first (weights before composites). */
  yielding(value: string): Draft | undefined;
  /** The site of a role that has this node. */
  holding(role: string, n: Node): Draft | undefined;
}

/** Ports of an activation: `channel` is its last axis, or `channel` when given. */
export function activation(v: View, name: string, value: string, axes?: Readonly<Record<string, number>>): Port {
  const shape = v.shape(value);
  return {
    name,
    kind: 'activation',
    value,
    ...(shape ? { shape } : {}),
    axes: axes ?? { channel: shape ? shape.length - 1 : -1 },
  };
}

/** The port of a weight; `out` and `reduce` are axes of the initializer itself. */
export function weight(c: Constant, out: number, reduce: number): Port {
  return { name: 'weight', kind: 'weight', value: c.name, shape: c.tensor.shape, axes: { out, reduce } };
}

/** How a node is called in misses: its name, or what it yields. */
export const label = (n: Node): string => n.name || n.outputs[0] || n.op;
export const miss = (role: string, n: Node, why: string): Miss => ({ role, node: label(n), why });
