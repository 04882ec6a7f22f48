/** Ends child processes for certain, and waits until they are gone. */
import type { ChildProcess } from 'node:child_process';

/** A process that ignores SIGTERM that long is killed. */
const TERM_GRACE_MS = 5000;

export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}

/** The file beside this one, compiled or not, as this one is. */
export function siblingFile(name: string, importMetaUrl: string): string {
  const extension = importMetaUrl.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`${name}${extension}`, importMetaUrl).pathname;
}
