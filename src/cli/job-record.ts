/** What a load by this machine's client leaves for other processes to see: how far it is, and who runs it. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStat } from '../base/process-stat.ts';
import type { ClientLoadProgress } from '../client/index.ts';

export interface LoadRecord {
  readonly path: string;
  readonly pid: number;
  /** With it, the process id names one process and not the next one of that number. */
  readonly startTicks: string | undefined;
  readonly updatedAtIso: string;
  readonly progress: ClientLoadProgress;
}

export class LoadRecords {
  readonly #directory: string;

  constructor(stagingDir: string) {
    this.#directory = join(stagingDir, 'loads');
  }

  write(cluster: string, path: string, progress: ClientLoadProgress): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const { pid } = process;
    const updatedAtIso = new Date().toISOString();
    const record = { path, pid, startTicks: processStat(pid)?.startTicks, updatedAtIso, progress };
    const file = this.#fileOf(cluster, path);
    // Readers see the old record or the new one, never a half.
    writeFileSync(`${file}.${pid}`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${file}.${pid}`, file);
  }

  /** A run that was killed could not say so itself. */
  read(cluster: string, path: string): LoadRecord | undefined {
    let record: LoadRecord;
    try {
      record = JSON.parse(readFileSync(this.#fileOf(cluster, path), 'utf8')) as LoadRecord;
    } catch {
      return undefined;
    }
    if (record.progress.jobState !== 'RUNNING' || this.isRunning(record)) return record;
    return { ...record, progress: { ...record.progress, jobState: 'STOPPED' } };
  }

  isRunning({ pid, startTicks, progress }: LoadRecord): boolean {
    if (progress.jobState !== 'RUNNING' || startTicks === undefined) return false;
    return processStat(pid)?.startTicks === startTicks;
  }

  #fileOf(cluster: string, path: string): string {
    const id = createHash('sha256').update(`${cluster}\0${path}`).digest('hex').slice(0, 24);
    return join(this.#directory, `${id}.json`);
  }
}
