/** A broken invariant: a mistake of ours, never of the input. Fails one request, not the mount. */
export class InvariantError extends Error {
  override name = 'InvariantError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
