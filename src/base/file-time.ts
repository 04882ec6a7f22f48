/** Rounded down also before 1970, as Java does it for file times. A double would round some of them up. */
export function wholeMs(ns: bigint): number {
  const ms = ns / 1_000_000n;
  return Number(ns < 0n && ms * 1_000_000n !== ns ? ms - 1n : ms);
}
