/** What a quantized graph says of its numbers, before it is known which site they belong to. */

/** A weight: what its codes are, how many scales it has. */
export interface WeightFacts {
  readonly format: 'int' | 'fp8' | 'fp8_e5m2' | 'mxfp4' | 'nvfp4' | 'float16' | 'bfloat16';
  readonly bits: number;
  readonly symmetric: boolean;
  /** Number of scales; 0 where the format has none of its own. */
  readonly scales: number;
  /** Shape of the scales as they are stored. */
  readonly scaleShape?: readonly number[];
  /** Elements along the reduction that share a scale, where an attribute says it. */
  readonly block?: number;
}

/** An activation: its codes, when and over what its scale is found. */
export interface ValueFacts {
  readonly format: WeightFacts['format'];
  readonly bits: number;
  readonly symmetric: boolean;
  readonly mode: 'static' | 'dynamic';
  /** `rows`: one scale for each position of the axes that are not reduced. */
  readonly per: 'tensor' | 'channel' | 'rows' | 'group';
  readonly group?: number;
  /** Unsigned codes around their middle: signed ones without a zero point, or a zero point that happens to lie there. */
  readonly middle?: true;
}

/** Numbers of the nodes of the float model, by the value that they yield. */
export interface Annotations {
  /** The weight of a node. */
  readonly weights: Map<string, WeightFacts>;
  /** Its inputs: `output#index`. */
  readonly inputs: Map<string, ValueFacts>;
}

/** Metadata of a node that has annotations: the value that they are kept by. Folding may rename what a node yields. */
export const NOTED = 'qc.ingest';
