/** A real S3 server over the directory of the data set: what rclone and s3fs read from. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/devcluster/ports.ts';
import { waitFor } from '../../test/support/wait.ts';
import { Server } from '../support/children.ts';
import { DATA_FOLDER } from '../support/data-set.ts';
import type { DataSet } from '../support/data-set.ts';
import { findProgram, versionOf } from '../support/programs.ts';
import type { Cleanup } from '../../test/support/temp-dir.ts';

const START_MS = 15_000;
export const S3_KEY = 'bench';
export const S3_SECRET = 'bench-secret';
/**
 * Files that did not come through the server have no ETag. One in the form of a multipart upload
 * is not taken for an MD5, which rclone would compare and pay for.
 */
const ETAG = 'd41d8cd98f00b204e9800998ecf8427e-1';

/**
 * What the server notes of an upload with a checksum. Files that did not come through it are listed
 * with an empty one, which mountpoint-s3 takes for a broken answer.
 */
const CHECKSUMS = '{"Algorithm":"CRC64NVME"}';

export interface S3Place {
  readonly endpoint: string;
  readonly detail: string;
}

/** A text says why there is none. */
export async function startS3Server(
  cleanup: Cleanup,
  data: DataSet,
  workDir: string,
): Promise<S3Place | string> {
  const program = findProgram('versitygw');
  if (program === undefined) return 'versitygw is not installed';
  const port = await freePort('127.0.0.1');
  // Beside the data: the files themselves are left as they are.
  const sidecar = join(workDir, 's3-sidecar');
  for (const path of data.made) {
    const notes = join(sidecar, DATA_FOLDER, path, 'meta');
    await mkdir(notes, { recursive: true });
    await writeFile(join(notes, 'checksums'), CHECKSUMS);
  }
  const flags = ['--quiet', '--keep-alive', '--port', `127.0.0.1:${port}`];
  const secrets = ['--access', S3_KEY, '--secret', S3_SECRET];
  const backend = ['posix', '--sidecar', sidecar, '--default-etag', ETAG, data.root];
  const log = join(workDir, 's3-server.log');
  const server = await Server.start(program, [...flags, ...secrets, ...backend], log);
  cleanup(() => server.stop());
  const endpoint = `http://127.0.0.1:${port}`;
  await waitFor(
    'the S3 server',
    async () => {
      server.check();
      try {
        await fetch(endpoint, { signal: AbortSignal.timeout(1000) });
        return true;
      } catch {
        return false;
      }
    },
    START_MS,
  );
  const version = (await versionOf(program, '--version')).replace(/^version\s*:?\s*/i, '');
  return { endpoint, detail: `versitygw ${version}` };
}
