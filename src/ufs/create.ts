/** The under store that a root names, by its scheme. */
import type { Logger } from '../base/logger.ts';
import type { UfsRoot } from '../cluster/ufs-path.ts';
import type { UnderStore } from '../cluster/under-store.ts';
import { FileUnderStore } from './file/file-under-store.ts';
import { isS3Scheme, type S3Options } from './s3/s3-place.ts';
import { S3UnderStore } from './s3/s3-under-store.ts';
import {
  isWebHdfsScheme,
  WebHdfsUnderStore,
  type WebHdfsOptions,
} from './webhdfs/webhdfs-under-store.ts';

export interface UnderStoreOptions {
  /** For every store that is spoken to as S3, whatever its scheme. */
  readonly s3?: S3Options | undefined;
  readonly webHdfs?: WebHdfsOptions | undefined;
}

/**
 * Undefined where there is none for the scheme, or something is missing that the root does not tell:
 * the log says what. Nothing is connected to, or loaded, before it is used.
 */
export function createUnderStore(
  root: UfsRoot,
  options: UnderStoreOptions,
  logger: Logger,
): UnderStore | undefined {
  try {
    if (root.localPath !== undefined) return new FileUnderStore({ root: root.localPath });
    if (isS3Scheme(root.scheme)) return new S3UnderStore({ ...options.s3, root: root.prefix });
    if (isWebHdfsScheme(root.scheme)) {
      return new WebHdfsUnderStore({ ...options.webHdfs, root: root.prefix });
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn({ reason }, 'Only workers can serve files: the under store cannot be used');
  }
  return undefined;
}
