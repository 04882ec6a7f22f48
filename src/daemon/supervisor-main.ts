/** Entry point of the supervisor in the background: started by `mount`, which waits for its word. */
import type { FromSupervisor, StartSupervisor } from './ipc.ts';
import { runSupervisor } from './run-supervisor.ts';

function tell(message: FromSupervisor): void {
  process.send?.(message, undefined, {}, () => {
    // Whoever asked for the mount has heard; from here on we are alone.
    if (process.connected) process.disconnect();
  });
}

process.once('message', (message: StartSupervisor) => {
  void (async () => {
    const failure = await runSupervisor(message.config, {
      onStarted: (outcome) => {
        if (!outcome.ok) tell({ kind: 'failed', reason: outcome.reason });
        else {
          const { driver, warnings } = outcome.supervisor;
          tell({ kind: 'mounted', pid: process.pid, driver, warnings });
        }
      },
    });
    process.exitCode = failure === undefined ? 0 : 1;
    // The word of a failed start is on its way; then nothing keeps the process.
    setTimeout(() => process.exit(), 1000).unref();
    if (!process.connected) process.exit();
    process.once('disconnect', () => process.exit());
  })();
});
