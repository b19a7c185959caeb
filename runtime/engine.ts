/** What performs operations: the Node addon or the wasm module. */
export interface Engine {
  readonly kind: 'native' | 'wasm';
  readonly isa: string;
  /** Whether a range of a file can be the first input. */
  readonly maps: boolean;
  /** Fills `outputs`; they and the inputs must not be touched until the promise settles. Throws `code: message`. */
  call(
    op: number,
    numbers: readonly number[],
    file: { readonly path: string; readonly at: number; readonly len: number } | undefined,
    inputs: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
  ): Promise<number[]>;
  close(): void;
}
