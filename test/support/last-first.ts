import type { Cleanup } from './temp-dir.ts';

/**
 * Clean-ups that run against the order of their registration, each whatever becomes of the others:
 * what was built last stands on what was built before. node:test itself runs them in order.
 */
export function lastFirst(after: Cleanup): Cleanup {
  const works: (() => Promise<void>)[] = [];
  after(async () => {
    const errors: unknown[] = [];
    for (const work of works.toReversed()) {
      try {
        await work();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `Clean-up failed: ${errors.join('; ')}`);
  });
  return (work) => {
    works.push(work);
  };
}
