/** Stands for runtime/index.ts in the browser, where no native addon loads. */
export const active = false;
