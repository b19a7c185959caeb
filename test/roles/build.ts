/** Small graphs, written as code: every operator gives the name of its output. */
import { canonicalize } from '../../compiler/graph/canonical.ts';
import { infer } from '../../compiler/graph/infer.ts';
import { fromFloat32 } from '../../compiler/graph/numeric.ts';
import type { Attr, Dim, Graph, Model, Node, Tensor } from '../../compiler/graph/types.ts';
import { findSites } from '../../compiler/match/find.ts';
import type { Site, Sites } from '../../compiler/sites.ts';

const FLOATS = new Set(['alpha', 'beta', 'epsilon', 'momentum', 'scale']);

function attr(name: string, value: number | readonly number[] | string | Graph): Attr {
  if (typeof value === 'string') return { type: 'string', value };
  if (typeof value === 'number') return FLOATS.has(name) ? { type: 'float', value } : { type: 'int', value };
  return 'nodes' in value ? { type: 'graph', value } : { type: 'ints', value };
}

const floats = (shape: readonly number[], fill: (i: number) => number): Tensor => ({
  dtype: 'float32',
  shape,
  source: {
    kind: 'bytes',
    bytes: fromFloat32(
      'float32',
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => fill(i)),
    ),
  },
});

export interface NodeOptions {
  readonly name?: string;
  readonly outputs?: number;
  readonly domain?: string;
  readonly scopes?: readonly string[];
}

/** Builds one graph. */
export class Builder {
  readonly graph: Graph = { name: 'g', nodes: [], inputs: [], outputs: [], initializers: new Map(), values: new Map() };
  private count = 0;

  input(name: string, shape: readonly Dim[], dtype: 'float32' | 'int64' = 'float32'): string {
    this.graph.inputs.push({ name, dtype, shape });
    return name;
  }
  /** A weight with some varying content. */
  weight(name: string, shape: readonly number[]): string {
    this.graph.initializers.set(
      name,
      floats(shape, (i) => Math.sin(i + 1) / 4),
    );
    return name;
  }
  half(name: string, shape: readonly number[]): string {
    const n = shape.reduce((a, b) => a * b, 1);
    this.graph.initializers.set(name, { dtype: 'float16', shape, source: { kind: 'bytes', bytes: new Uint8Array(2 * n) } });
    return name;
  }
  number(x: number): string {
    const name = `number_${this.count++}`;
    this.graph.initializers.set(
      name,
      floats([], () => x),
    );
    return name;
  }
  filled(shape: readonly number[], x: number): string {
    const name = `filled_${this.count++}`;
    this.graph.initializers.set(
      name,
      floats(shape, () => x),
    );
    return name;
  }
  ints(...xs: number[]): string {
    const name = `ints_${this.count++}`;
    const bytes = new Uint8Array(new BigInt64Array(xs.map(BigInt)).buffer);
    this.graph.initializers.set(name, { dtype: 'int64', shape: [xs.length], source: { kind: 'bytes', bytes } });
    return name;
  }
  /** A node; the names of its outputs. */
  ops(
    op: string,
    inputs: readonly string[],
    attrs: Record<string, number | readonly number[] | string | Graph> = {},
    o: NodeOptions = {},
  ): string[] {
    const id = this.count++;
    const outputs = Array.from({ length: o.outputs ?? 1 }, (_, i) => `${op.toLowerCase()}_${id}${i ? `_${i}` : ''}`);
    const node: Node = {
      name: o.name ?? '',
      op,
      domain: o.domain ?? '',
      inputs: [...inputs],
      outputs,
      attrs: new Map(Object.entries(attrs).map(([k, v]) => [k, attr(k, v)])),
    };
    if (o.scopes) node.metadata = new Map([['pkg.torch.onnx.name_scopes', `[${o.scopes.map((s) => `'${s}'`).join(', ')}]`]]);
    this.graph.nodes.push(node);
    return outputs;
  }
  op(
    op: string,
    inputs: readonly string[],
    attrs: Record<string, number | readonly number[] | string | Graph> = {},
    o: NodeOptions = {},
  ): string {
    return this.ops(op, inputs, attrs, o)[0]!;
  }
  /** Declares an output. */
  output(name: string): string {
    this.graph.outputs.push({ name, dtype: 'float32' });
    return name;
  }
  model(opset = 18): Model {
    return {
      irVersion: 8,
      opsets: new Map([
        ['', opset],
        ['com.microsoft', 1],
      ]),
      producer: 'test',
      producerVersion: '1',
      domain: '',
      modelVersion: 0,
      doc: '',
      metadata: new Map(),
      graph: this.graph,
      functions: [],
    };
  }
}

/** Builds a graph whose only output is what `make` returns, and finds its sites. */
export function sitesOf(make: (b: Builder) => string | readonly string[], opset = 18): Sites {
  const b = new Builder();
  const made = make(b);
  for (const o of typeof made === 'string' ? [made] : made) b.output(o);
  return findSites(infer(canonicalize(b.model(opset))));
}

export const ofRole = (s: Sites, role: string): Site[] => s.sites.filter((x) => x.role === role);

/** The one site of a role. */
export function only(s: Sites, role: string): Site {
  const all = ofRole(s, role);
  if (all.length !== 1) throw new Error(`${all.length} sites of role ${role}; misses: ${JSON.stringify(s.misses)}`);
  return all[0]!;
}
