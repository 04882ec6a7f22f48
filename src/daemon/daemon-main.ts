/** Entry point of the daemon process: started by the supervisor, with its IPC channel. */
import { Daemon } from './daemon.ts';
import type { FromDaemon, ToDaemon } from './ipc.ts';

let daemon: Daemon | undefined;

function send(message: FromDaemon): void {
  // Without a supervisor the mount goes on; there is nobody to tell.
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}

async function start(message: Extract<ToDaemon, { kind: 'start' }>): Promise<void> {
  try {
    daemon = new Daemon(message, send);
    await daemon.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    daemon?.logger.error({ error }, 'The daemon could not start');
    daemon?.logger.flush();
    process.send?.({ kind: 'failed', reason } satisfies FromDaemon, undefined, {}, () =>
      process.exit(1),
    );
  }
}

function crash(error: unknown): void {
  daemon?.logger.error({ error }, 'The daemon crashed');
  daemon?.logger.flush();
  process.exit(70);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);
// Signals of a terminal reach the whole group; the supervisor decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => {
  daemon?.logger.warn({}, 'The supervisor is gone; serving until unmounted, without a replacement');
});
process.on('message', (message: ToDaemon) => {
  if (message.kind === 'start') void start(message);
  else if (message.kind === 'stop') daemon?.stop();
  else daemon?.logger.reopen();
});
