/** So long a failing run may be tried in shorter forms; what is found by then is shown. */
const BUDGET_MS = 15_000;

/**
 * A short list of events that still fails: leaves out ever smaller parts for as long as that keeps
 * the failure. `fails` must not depend on anything but its argument.
 */
export function shortest(
  events: readonly number[],
  fails: (events: readonly number[]) => boolean,
): number[] {
  const endMs = performance.now() + BUDGET_MS;
  let current = [...events];
  for (let size = Math.ceil(current.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = current.length - size; at > -size; at -= size) {
      if (performance.now() > endMs) return current;
      const from = Math.max(at, 0);
      const rest = [...current.slice(0, from), ...current.slice(at + size)];
      if (fails(rest)) current = rest;
    }
  }
  return current;
}
