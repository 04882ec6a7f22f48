/** One process at a time uses a journal. The supervisor sees to that; this sees to the supervisor. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { processStat } from '../base/process-stat.ts';
import { storeError } from './errors.ts';

/** Undefined for a process that has ended. */
function identityOf(pid: number): string | undefined {
  const stat = processStat(pid);
  return stat === undefined || stat.hasEnded ? undefined : `${pid} ${stat.startTicks}`;
}

/** More than once only where others take over a dead one's lock at the same moment. */
const ATTEMPTS_MAX = 5;

/** Fails with 'unavailable' while another live process has it. A dead one's lock is taken over. */
export async function lockJournal(lockPath: string): Promise<() => Promise<void>> {
  // Without /proc (not Linux) only the number can be told.
  const own = identityOf(process.pid) ?? `${process.pid}`;
  // Written before it has the name: a lock is never seen without its holder.
  const mine = `${lockPath}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(mine, own, { flag: 'wx', mode: 0o600 });
  try {
    for (let attempt = 1; !(await isLinked(mine, lockPath)); attempt++) {
      const holder = await readFile(lockPath, 'utf8').catch(() => '');
      const pid = Number(holder.split(' ')[0]);
      const isOther = Number.isSafeInteger(pid) && pid > 0 && holder !== own;
      if ((isOther && identityOf(pid) === holder) || attempt === ATTEMPTS_MAX) {
        throw storeError(
          'unavailable',
          `Process ${pid} uses the journal of this mount (${lockPath}); stop it first`,
        );
      }
      await takeAway(lockPath, holder, `${mine}.old`);
    }
  } finally {
    await rm(mine, { force: true });
  }
  return () => rm(lockPath, { force: true });
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/** The lock of a dead holder; one that somebody else has put there meanwhile goes back. */
async function takeAway(lockPath: string, holder: string, aside: string): Promise<void> {
  try {
    await rename(lockPath, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== holder) await isLinked(aside, lockPath);
  await rm(aside, { force: true });
}
