/** What commands touch of the world around them, given from outside so that tests own it. */
import type { DaemonApi, DevclusterApi } from './daemon-api.ts';

export const EXIT_CODES = {
  ok: 0,
  /** What was asked for was clear, and failed. */
  failure: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** This cluster lacks what it takes; the message says which feature that is. */
  unsupported: 3,
  /** Stopped by a signal before it was done. */
  stopped: 130,
} as const;
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

export interface CliContext {
  /** Each adds a line break. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Standard error is a terminal: a line there can be written over. */
  readonly isTerminal: boolean;
  /** On a terminal: the line that `text` replaces, or ends with ''. */
  readonly overwrite: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly version: string;
  readonly readText: (path: string) => string;
  readonly loadDaemon: () => Promise<DaemonApi>;
  readonly loadDevcluster: () => Promise<DevclusterApi>;
  /** Resolves when the program is asked to stop (SIGINT, SIGTERM), from the first call on. */
  readonly untilStopped: () => Promise<void>;
}

/** The command line is wrong in a way that the parser cannot know. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
