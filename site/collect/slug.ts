/** The anchor of a heading: lower case, words joined by `-`; underscores stay, since names have them. */
export const slug = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_]+/gu, '-')
    .replace(/^-|-$/g, '');
