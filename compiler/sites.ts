/** What roles find in a graph: sites with ports, by structure, under canonical paths. */
import type { Dim, Node } from './graph/types.ts';

/** A port of a site: a value of the graph that a statement can talk about. */
export interface Port {
  readonly name: string;
  readonly kind: 'weight' | 'activation';
  /** Weight: the initializer's name. Activation: the value's name. */
  readonly value: string;
  readonly shape?: readonly Dim[];
  /**
   * Meaning of axes. Weight of linear/conv: `out`, `reduce` (conv: reduce is 1 and kernel axes follow, grouped by `groups`);
   * embedding: `out` = the rows (vocabulary), `reduce` = hidden: groups run along hidden. Activation: `token` axes are all but the last, `channel`; attention tensors: `head`.
   */
  readonly axes: Readonly<Record<string, number>>;
}

export interface Site {
  /** Stable and unique: `linear:layers.0.self_attn.q_proj`. */
  readonly id: string;
  /** Canonical module path, independent of the exporter: `layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly role: string;
  /** Memberships such as `attention.q`, `mlp.up`, `attention.output`, and structural tags such as `temporal`. */
  readonly members: readonly string[];
  /** '' is the main graph; else the path of the subgraph or function. */
  readonly graph: string;
  readonly ports: Readonly<Record<string, Port>>;
  /** Nodes that make up the site, in order; the last one yields the output. */
  readonly nodes: readonly Node[];
  /** How it was spelt: 'MatMul', 'MatMul+Add', 'Gemm', 'Conv', 'LayerNormalization', 'rms-primitive' … */
  readonly form: string;
  /** The initializer's name of a bias, if there is one. */
  readonly bias?: string;
  /** Numbers that the pattern found: eps, groups, heads, kv_heads, strides, rope pairing … */
  readonly facts: Readonly<Record<string, number | string | boolean | readonly number[]>>;
  /** Sites of one tied group carry the same name (q, k, v; gate, up). A site alone: its own id. */
  readonly tied: string;
  /** Index of the repeated block that it lies in; undefined outside. */
  readonly block?: number;
  /** Number of weight parameters. */
  readonly size: number;
}

/** A node that looked like a role and was not one, with the reason. `qc inspect` shows them. */
export interface Miss {
  readonly role: string;
  readonly node: string;
  readonly why: string;
}

/** producer → consumer without a rounding site between them: through reshape, transpose, split and elementwise ops that keep the channel. */
export interface SiteEdge {
  readonly from: string;
  readonly to: string;
  readonly value: string;
  readonly through: readonly string[];
  /** Not a flow: two values whose channels are summed together (q and k). Only `a <-> b` selects it. */
  readonly tied?: true;
}

export interface Sites {
  readonly sites: readonly Site[];
  readonly edges: readonly SiteEdge[];
  readonly misses: readonly Miss[];
  /** Values of the residual stream in order, by stream. */
  readonly streams: readonly (readonly string[])[];
  /** Blocks in order: the sites' block numbers and the values that enter and leave. */
  readonly blocks: readonly {
    readonly index: number;
    readonly path: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
}
