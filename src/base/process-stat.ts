/** What /proc tells of a process of this machine. */
import { readFileSync } from 'node:fs';

export interface ProcessStat {
  /** With its start, a process id names one process and not the next one with that number. */
  readonly startTicks: string | undefined;
  /** Nobody has waited for it yet; in some containers, whoever inherited it never does. */
  readonly hasEnded: boolean;
}

/** Undefined where there is none, or no /proc to look into. */
export function processStat(pid: number): ProcessStat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command, in brackets, may hold anything; the start time is the 20th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { startTicks: fields[19], hasEnded: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return undefined;
  }
}
