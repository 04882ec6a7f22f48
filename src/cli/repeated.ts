/** Flags that may be given several times: what becomes of their values. */

export const collect = (value: string, previous: readonly string[] = []): string[] => [
  ...previous,
  value,
];

/** One list with commas. */
export const joinLists = (value: string, previous: string | undefined): string =>
  previous === undefined ? value : `${previous},${value}`;
