/** The entry point of the program. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asksForJson, complain } from './complaints.ts';
import type { CliContext } from './context.ts';
import type { DaemonApi, DevclusterApi } from './daemon-api.ts';
import { isMountHelper, mountHelperArguments } from './mount-helper.ts';
import { runCli } from './program.ts';

/** From the package that this file is in, wherever the build put it. */
function packageVersion(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try {
      const text = readFileSync(join(directory, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch (error) {
      const parent = dirname(directory);
      if (parent === directory) throw error;
      directory = parent;
    }
  }
}

function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve());
    }
  });
}

const context: CliContext = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  isTerminal: process.stderr.isTTY,
  overwrite: (text) => process.stderr.write(`\r\x1b[K${text}`),
  env: process.env,
  cwd: process.cwd(),
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  version: packageVersion(),
  // Opened by its name, a socket is no file.
  readText: (path) => readFileSync(path === '/dev/stdin' ? 0 : path, 'utf8'),
  loadDaemon: async () => (await import('../daemon/index.ts')) satisfies DaemonApi,
  loadDevcluster: async () => (await import('../devcluster/index.ts')) satisfies DevclusterApi,
  untilStopped,
};

const given = process.argv.slice(2);
// A reader that has seen enough (`status | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  const reason = `Standard output cannot be written: ${error.message}`;
  complain(context, asksForJson(given), { code: 'local', reason });
  process.exit(1);
});
const args = isMountHelper(process.argv[1] ?? '') ? mountHelperArguments(given) : given;
const exitCode = args === undefined ? 0 : await runCli(args, context);
// Nothing that a command left open may keep the program: its work is done.
process.exit(exitCode);
