/** Many small works, so many at a time, from a source that may be endless. */

/**
 * Pulls items as works end. The first failure stops the pulling and is thrown once what runs has come
 * to its end; `onError` may take a failure and let the others go on.
 */
export async function forEachOf<T>(
  items: AsyncIterable<T> | Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
  onError?: (error: unknown, item: T) => void,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      if (failure !== undefined) break;
      const task = work(item)
        .catch((error: unknown) => {
          if (onError !== undefined) onError(error, item);
          else failure ??= { error };
        })
        .finally(() => running.delete(task));
      running.add(task);
      if (running.size >= atOnce) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure.error;
}
