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

type Read = (memory: Buffer, offset: number, length: number, position: number) => Promise<unknown>;

/** As `intercept`, for reads of open files. */
export async function interceptReads(
  context: TestContext,
  answer: (real: Read) => Read,
): Promise<void> {
  const handle = await promises.open('/dev/null', 'r');
  const methods = Object.getPrototypeOf(handle) as Record<
    'read' | 'readv',
    (...args: never[]) => unknown
  >;
  await handle.close();
  const real = methods.read as unknown as (this: unknown, ...args: unknown[]) => Promise<unknown>;
  context.mock.method(methods, 'read', function (this: unknown, ...args: Parameters<Read>) {
    return answer(async (...again) => await real.call(this, ...again))(...args);
  });
}
