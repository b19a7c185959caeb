/** What the exit status says. */
export const exit = {
  done: 0,
  /** A `require` of the recipe does not hold (or `fmt --check` found a difference). */
  failed: 1,
  /** Wrong input: recipe, model, data, options, disk. */
  input: 2,
  /** A bug of qc. */
  internal: 3,
} as const;
export type Exit = (typeof exit)[keyof typeof exit];
