/** Runs a supervisor in this process to its end, with signals and a log. */
import type { MountConfig } from '../config/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { Supervisor } from './supervisor.ts';

export interface SupervisorRun {
  /** Called once: the mount answers, or why it does not. */
  readonly onStarted: (
    outcome:
      | { readonly ok: true; readonly supervisor: Supervisor }
      | { readonly ok: false; readonly reason: string },
  ) => void;
}

/** Resolves when the mount has ended; undefined, or why it ended. */
export async function runSupervisor(
  config: MountConfig,
  run: SupervisorRun,
): Promise<string | undefined> {
  const logger = createLogger({
    level: config.logLevel,
    file: config.logFile,
    base: { component: 'supervisor', mountpoint: config.mountpoint },
  });
  const supervisor = new Supervisor(config, logger);
  let stopRequests = 0;
  const stop = (signal: NodeJS.Signals): void => {
    stopRequests++;
    logger.info({ signal }, 'Stopping');
    // Busy at the first request: somebody works there. The second one means it.
    supervisor.stop(stopRequests > 1).catch((error: unknown) => {
      logger.warn({ error }, 'The mount is busy; taking it away once its users are done');
      supervisor.stop(true).catch((lazyError: unknown) => {
        logger.error({ error: lazyError }, 'The mount could not be taken away');
      });
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
    if (config.logFile !== undefined) logger.reopen();
    supervisor.reopenLog();
  });
  try {
    await supervisor.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.error({ reason }, 'The mount could not be made');
    await logger.opened();
    logger.flush();
    run.onStarted({ ok: false, reason });
    return reason;
  }
  run.onStarted({ ok: true, supervisor });
  const failure = await supervisor.ended;
  if (failure !== undefined) logger.error({ reason: failure }, 'The mount was given up');
  logger.flush();
  return failure;
}
