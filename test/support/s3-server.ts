/**
 * A real S3 server of a test's own: versitygw over a directory, whose first level is the buckets. On
 * a free port, stopped by pid.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { S3Options } from '../../src/ufs/index.ts';
import { freePort } from '../../src/devcluster/ports.ts';
import type { Cleanup } from './temp-dir.ts';
import { makeTempDir } from './temp-dir.ts';
import { waitFor } from './wait.ts';

export interface S3Server {
  readonly endpoint: string;
  /** Each directory in it is a bucket. */
  readonly directory: string;
  /** With the keys that it takes. */
  readonly options: S3Options;
  /** The same port and files, after `stop`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const ACCESS = { accessKeyId: 'test-access', secretAccessKey: 'test-secret' } as const;

/** Where `go install` puts programs, besides the path. */
function findVersitygw(): string | undefined {
  const { PATH = '', GOBIN, GOPATH } = process.env;
  const directories = [...PATH.split(delimiter), GOBIN, GOPATH && join(GOPATH, 'bin')];
  for (const directory of [...directories, join(homedir(), 'go', 'bin')]) {
    if (directory === undefined || directory === '') continue;
    const program = join(directory, 'versitygw');
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

/** Reason to skip a test by name, or false. */
export function s3Missing(): string | false {
  if (findVersitygw() !== undefined) return false;
  return 'versitygw is not installed (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)';
}

export async function startS3Server(
  cleanup: Cleanup,
  options: { readonly directory?: string; readonly hasEtags?: boolean } = {},
): Promise<S3Server> {
  const program = findVersitygw();
  if (program === undefined) throw new Error(String(s3Missing()));
  const directory = options.directory ?? (await makeTempDir(cleanup, 's3'));
  const sidecar = await makeTempDir(cleanup, 's3-metadata');
  await mkdir(join(sidecar, 'metadata'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  // Beside the files, as extended attributes are not on every file system.
  const metadata =
    options.hasEtags === false ? ['--nometa'] : ['--sidecar', join(sidecar, 'metadata')];
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const started = spawn(
      program,
      ['--quiet', '--port', `127.0.0.1:${port}`, 'posix', ...metadata, directory],
      {
        stdio: 'ignore',
        env: {
          ...process.env,
          ROOT_ACCESS_KEY: ACCESS.accessKeyId,
          ROOT_SECRET_KEY: ACCESS.secretAccessKey,
        },
      },
    );
    child = started;
    await waitFor('the S3 server', async () => {
      if (started.exitCode !== null) throw new Error(`versitygw ended with ${started.exitCode}`);
      return fetch(endpoint).then(
        (answer) => answer.status > 0,
        () => false,
      );
    });
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  };
  cleanup(stop);
  await start();
  return { endpoint, directory, options: { endpoint, credentials: ACCESS }, start, stop };
}
