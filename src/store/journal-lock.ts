/** One process at a time uses a journal. The supervisor sees to that; this sees to the supervisor. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { storeError } from './errors.ts';

/** With its start, a process id names one process and not the next one with that number. */
async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command, in brackets, may hold anything; the start time is the 20th field after it.
    const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // It has ended; whoever inherited it has not looked yet, and in some containers never does.
    return state === 'Z' || state === 'X' ? undefined : `${pid} ${fields[18]}`;
  } catch {
    return undefined;
  }
}

/** Fails with 'unavailable' while another live process has it. A dead one's lock is taken over. */
export async function lockJournal(lockPath: string): Promise<() => Promise<void>> {
  // Without /proc (not Linux) only the number can be told.
  const own = (await identityOf(process.pid)) ?? `${process.pid}`;
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(lockPath, own, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readFile(lockPath, 'utf8').catch(() => '');
    const pid = Number(holder.split(' ')[0]);
    const isOther = Number.isSafeInteger(pid) && pid > 0 && holder !== own;
    // The second process to take over a dead one's lock meets the first one's in the next round.
    if ((isOther && (await identityOf(pid)) === holder) || attempt === 2) {
      throw storeError(
        'unavailable',
        `Process ${pid} uses the journal of this mount (${lockPath}); stop it first`,
      );
    }
    await rm(lockPath, { force: true });
  }
  return () => rm(lockPath, { force: true });
}
