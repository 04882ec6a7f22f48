/** Under stores that this machine can reach itself, for what no worker can serve. */
export { createUnderStore, type UnderStoreOptions } from './create.ts';
export { FileUnderStore, type FileUnderStoreOptions } from './file/file-under-store.ts';
export type { S3Credentials, S3Options } from './s3/s3-place.ts';
export { S3UnderStore, type S3UnderStoreOptions } from './s3/s3-under-store.ts';
export {
  WebHdfsUnderStore,
  type WebHdfsOptions,
  type WebHdfsUnderStoreOptions,
} from './webhdfs/webhdfs-under-store.ts';
