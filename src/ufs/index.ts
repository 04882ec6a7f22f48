/** Under stores that this machine can reach itself, for what no worker can serve. */
export { FileUnderStore, type FileUnderStoreOptions } from './file/file-under-store.ts';
