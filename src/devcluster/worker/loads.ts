/**
 * Load jobs as an Enterprise worker takes them: every file of a path is read by the worker that owns
 * it, which then has its pages. A job is known to the worker that it was submitted to; clients ask the
 * owner of the path.
 */
import type { AlluxioPath } from './alluxio-uri.ts';
import type { NameSpace } from './name-space.ts';

type State = 'RUNNING' | 'SUCCEEDED' | 'STOPPED' | 'FAILED';

interface Job {
  readonly id: string;
  readonly isMetadataOnly: boolean;
  state: State;
  files: number;
  bytes: number;
  problem: string;
}

export interface LoadRequest {
  readonly path: AlluxioPath;
  readonly isMetadataOnly: boolean;
}

/** Ended jobs that are remembered for whoever asks; the oldest goes first. */
const JOBS_MAX = 1000;

export class Loads {
  readonly #names: NameSpace;
  readonly #jobs = new Map<string, Job>();
  #count = 0;

  constructor(names: NameSpace) {
    this.#names = names;
  }

  submit({ path, isMetadataOnly }: LoadRequest): object {
    const running = this.#jobs.get(path.text);
    if (running?.state === 'RUNNING') {
      const message = `A load of the path runs already: ${running.id}`;
      return { success: false, jobId: 'NONE', path: path.text, message };
    }
    const id = `devcluster-load-${(this.#count += 1)}`;
    const job: Job = { id, isMetadataOnly, state: 'RUNNING', files: 0, bytes: 0, problem: '' };
    this.#jobs.delete(path.text);
    this.#jobs.set(path.text, job);
    for (const [key, { state }] of this.#jobs) {
      if (this.#jobs.size <= JOBS_MAX) break;
      if (state !== 'RUNNING') this.#jobs.delete(key);
    }
    void this.#run(job, path);
    return { success: true, jobId: id, path: path.text, message: 'Load is submitted' };
  }

  progress({ path }: LoadRequest): object {
    const job = this.#jobs.get(path.text);
    if (job === undefined) {
      const message = `Load for path '${path.text}' cannot be found.`;
      return { jobState: 'FAILED', path: path.text, message, respProperties: {} };
    }
    const { state, files, bytes, problem } = job;
    const message = `Load job ${state}: ${files} files, ${bytes} bytes. ${problem}`.trim();
    return { jobState: state, path: path.text, message, respProperties: {} };
  }

  stop({ path }: LoadRequest): object {
    const job = this.#jobs.get(path.text);
    const isRunning = job?.state === 'RUNNING';
    if (isRunning) job.state = 'STOPPED';
    const message = isRunning ? 'Load is stopped' : 'No load of the path runs';
    return { success: isRunning, path: path.text, message };
  }

  async #run(job: Job, path: AlluxioPath): Promise<void> {
    try {
      await this.#load(job, path);
      if (job.state === 'RUNNING') job.state = 'SUCCEEDED';
    } catch (error) {
      job.problem = error instanceof Error ? error.message : String(error);
      job.state = 'FAILED';
    }
  }

  async #load(job: Job, path: AlluxioPath): Promise<void> {
    const entry = await this.#names.status(path);
    if (entry === undefined) throw new Error(`Path "${path.text}" does not exist`);
    if (entry.type === 'file') {
      if (!job.isMetadataOnly) await this.#names.load(path);
      job.files += 1;
      job.bytes += entry.lengthBytes;
      return;
    }
    for (const child of (await this.#names.list(path)) ?? []) {
      if (job.state !== 'RUNNING') return;
      await this.#load(job, { path: child.path, text: child.path });
    }
  }
}
