/** Whether a mount answers: asked by a child, since a hung mount hangs whoever asks. */
import { spawn } from 'node:child_process';

export async function probeMount(mountpoint: string, timeoutMs: number): Promise<void> {
  const child = spawn('stat', ['--file-system', '--format=%T', '--', mountpoint], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, 1000);
  });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      // A child that hangs in the kernel cannot be waited for.
      child.kill('SIGKILL');
      child.unref();
      reject(new Error(`The mount did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`The mount does not answer: ${stderr.trim()}`));
    });
  });
}
