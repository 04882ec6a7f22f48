/** For tests: polls, with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';

export async function waitFor(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}`);
    await sleep(5);
  }
}
