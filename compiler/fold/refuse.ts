/** Why an equivalence cannot be folded: a typed reason and its words. */

/**
 * reader-left-out: somebody else reads the value. mixes-channels: an operator between does not commute with the map. model-output: the value
 * leaves the model. layout-lost: where the channels lie after an operator is unknown. in-body: it is read inside a subgraph. no-gain: the norm
 * has nothing to fold into. no-bias: a shift has nothing to fold into. centred-norm: the norm subtracts a mean, which a rotation does not keep. not-constant: a weight is no constant.
 * not-quantized: what the map is chosen by has no type in the plan. no-matrix: no such matrix of that size. not-a-writer: somebody unknown writes into the stream. no-producer: nothing before it takes the map.
 */
export type Reason =
  | 'reader-left-out'
  | 'mixes-channels'
  | 'model-output'
  | 'layout-lost'
  | 'in-body'
  | 'no-gain'
  | 'no-bias'
  | 'centred-norm'
  | 'not-constant'
  | 'not-quantized'
  | 'no-matrix'
  | 'not-a-writer'
  | 'no-producer';

/** Thrown by the fold engine; the driver gives it the statement's place. */
export class Refusal extends Error {
  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}

export const refuse = (reason: Reason, message: string): never => {
  throw new Refusal(reason, message);
};
