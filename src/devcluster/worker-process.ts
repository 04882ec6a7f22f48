/** The parent's side of one worker process: start, faults, figures, kill, start again. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { endChild, isRunning, siblingFile } from './child.ts';
import type { FromWorker, ToWorker, WorkerConfig, WorkerStats } from './messages.ts';
import type { FaultRule } from './worker/faults.ts';
import type { Root } from './worker/roots.ts';

/** Answers to IPC messages come in milliseconds; starting includes etcd and a busy machine. */
const REPLY_MS = 30_000;

export class PortTaken extends Error {}

export class WorkerProcess {
  #config: WorkerConfig;
  readonly #onLoss: (what: string) => void;
  #child: ChildProcess | undefined;
  /** Whose end is wanted. */
  #ending: ChildProcess | undefined;

  /** `onLoss` is told when it ends and nobody wanted that. */
  constructor(config: WorkerConfig, onLoss: (what: string) => void = () => undefined) {
    this.#config = config;
    this.#onLoss = onLoss;
  }

  get config(): WorkerConfig {
    return this.#config;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && isRunning(this.#child);
  }

  /** Starts it, or starts it again with the same identity and ports and an empty page cache. */
  async start(): Promise<void> {
    if (this.isRunning) return;
    const child = fork(siblingFile('./worker/main', import.meta.url), [], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
    });
    this.#child = child;
    const ready = await this.#call({ type: 'start', config: this.#config }, 'ready');
    this.#config = { ...this.#config, httpPort: ready.httpPort };
    child.once('exit', (code, signal) => {
      if (this.#ending === child) return;
      this.#onLoss(`Worker ${this.#config.host} ended with ${signal ?? `exit code ${code}`}`);
    });
  }

  /** Dies like a crashed worker: its lease lives on until it runs out. */
  async kill(): Promise<void> {
    this.#ending = this.#child;
    if (this.#child !== undefined) await endChild(this.#child, 'SIGKILL');
  }

  /** Leaves the cluster: its lease ends at once. */
  async leave(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !isRunning(child)) return;
    this.#ending = child;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.send({ type: 'leave' } satisfies ToWorker);
    await within(gone, 'leave');
  }

  /** Replaces all rules; none clears them. */
  async setFaults(rules: readonly FaultRule[], seed = 1): Promise<void> {
    await this.#call({ type: 'faults', rules, seed }, 'faults-set');
  }

  /** Other mounts, from now on. */
  async setRoots(roots: readonly Root[]): Promise<void> {
    await this.#call({ type: 'roots', roots }, 'roots-set');
    this.#config = { ...this.#config, roots };
  }

  async stats(): Promise<WorkerStats> {
    return (await this.#call({ type: 'stats' }, 'stats')).stats;
  }

  async #call<T extends FromWorker['type']>(
    message: ToWorker,
    reply: T,
  ): Promise<Extract<FromWorker, { type: T }>> {
    const child = this.#child;
    if (child === undefined || !isRunning(child)) throw new Error('Worker is not running');
    let cleanUp = (): void => undefined;
    const answered = new Promise<Extract<FromWorker, { type: T }>>((resolve, reject) => {
      const onMessage = (answer: FromWorker): void => {
        if (answer.type === reply) resolve(answer as Extract<FromWorker, { type: T }>);
        if (answer.type === 'failed') {
          const text = `Dev worker ${this.#config.host} failed: ${answer.message}`;
          reject(answer.code === 'EADDRINUSE' ? new PortTaken(text) : new Error(text));
        }
      };
      const onExit = (): void => reject(new Error(`Dev worker ${this.#config.host} exited`));
      child.on('message', onMessage);
      child.once('exit', onExit);
      cleanUp = () => {
        child.off('message', onMessage);
        child.off('exit', onExit);
      };
    });
    child.send(message);
    try {
      return await within(answered, message.type);
    } finally {
      cleanUp();
    }
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Dev worker did not answer: ${what}`)), REPLY_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
