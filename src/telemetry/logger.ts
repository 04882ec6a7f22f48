import { setTimeout as delay } from 'node:timers/promises';
import { destination, pino, stdTimeFunctions } from 'pino';
import type { LogFields, Logger } from '../base/logger.ts';
import type { LogLevel } from '../config/types.ts';
import { Redactor } from './redact.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Absent: standard error. Made, with its folders, where missing. */
  readonly file?: string | undefined;
  /** In every line: `component`, `mountpoint`, … */
  readonly base?: LogFields | undefined;
  /** Values that must not show up anywhere: the etcd password, keys. */
  readonly secrets?: readonly string[] | undefined;
}

export interface ProcessLogger extends Logger {
  /** A logger whose lines carry these fields as well. */
  child(fields: LogFields): Logger;
  /** Opens the file anew under its name, after it was rotated away; nothing on standard error. */
  reopen(): void;
  /** Calls `reopen` at every SIGHUP; the returned function stops that. Main thread only. */
  reopenOnHangup(): () => void;
  /**
   * Resolves once lines can be written, or after a moment where they cannot. A process that ends before
   * that ends with an error of its own.
   */
  opened(): Promise<void>;
  /** Blocks until every line is out: before the process ends, also from a crash handler. */
  flush(): void;
}

/**
 * Lines that a stuck disk may hold back in memory. Past it lines are dropped: a log must neither
 * stop the mount nor eat its memory.
 */
const BACKLOG_BYTES_MAX = 1024 * 1024;
/** A disk that takes longer to open a file may not open it at all. */
const OPEN_MS = 1_000;

/** JSON lines: `{"level":"info","time":"…","pid":…,…,"msg":"…"}`. */
export function createLogger(options: LoggerOptions): ProcessLogger {
  const redactor = new Redactor(options.secrets);
  const sink = destination({
    ...(options.file === undefined ? { fd: 2 } : { dest: options.file, mkdir: true, mode: 0o600 }),
    // The event loop also moves the data of every read: it must not wait for a log disk.
    sync: false,
    minLength: 0,
    maxLength: BACKLOG_BYTES_MAX,
  });
  // A full disk or a pulled one. There is nowhere to say it, and the next line tries again.
  sink.on('error', () => undefined);
  const isOpen = new Promise<void>((resolve) => {
    sink.once('ready', resolve);
    sink.once('error', () => resolve());
  });
  const root = pino(
    {
      level: options.level,
      base: { pid: process.pid, ...redactor.fields(options.base ?? {}) },
      timestamp: stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactor.fields(fields),
      },
    },
    sink,
  );
  const logger = withRedactedMessages(root, redactor);
  const reopen = (): void => {
    if (options.file !== undefined) sink.reopen();
  };
  return {
    ...logger,
    child: (fields) => withRedactedMessages(root.child(redactor.fields(fields)), redactor),
    reopen,
    reopenOnHangup: () => {
      process.on('SIGHUP', reopen);
      return () => process.off('SIGHUP', reopen);
    },
    opened: async () => {
      await Promise.race([isOpen, delay(OPEN_MS)]);
    },
    flush: () => {
      try {
        sink.flushSync();
      } catch {
        // Not open yet, or the disk refuses: the process is ending, there is nobody to tell.
      }
    },
  };
}

function withRedactedMessages(log: pino.Logger, redactor: Redactor): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: LogFields, message: string): void => {
      if (!log.isLevelEnabled(level)) return;
      log[level](fields, redactor.text(message));
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
