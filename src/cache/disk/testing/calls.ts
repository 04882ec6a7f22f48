/** For tests: what the disk answers. */
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

type Name = 'unlink' | 'statfs' | 'open';
type Call<N extends Name> = (...args: Parameters<(typeof promises)[N]>) => Promise<unknown>;

/** Until the end of the test the call is answered by `answer`, which is given the real one. */
export function intercept<N extends Name>(
  context: TestContext,
  name: N,
  answer: (real: Call<N>) => Call<N>,
): void {
  const real = promises[name] as unknown as Call<N>;
  context.mock.method(promises, name, answer(real) as never);
  syncBuiltinESMExports();
  context.after(() => {
    context.mock.restoreAll();
    syncBuiltinESMExports();
  });
}
