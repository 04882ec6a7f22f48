/** Walks of local trees that follow links, which may lead back to where the walk has come from. */

/**
 * The directories that what is in this one lies in; undefined where it is one of those that it lies in
 * itself, and a walk would never end.
 */
export function enteredFrom(
  above: readonly string[],
  { dev, ino }: { readonly dev: bigint; readonly ino: bigint },
): readonly string[] | undefined {
  const own = `${dev} ${ino}`;
  return above.includes(own) ? undefined : [...above, own];
}
