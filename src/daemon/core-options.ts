/** The core's share of the configuration. */
import { textOfByteString } from '../base/byte-string.ts';
import type { ByteString } from '../base/byte-string.ts';
import type { MountConfig } from '../config/index.ts';
import type { CoreOptions } from '../vfs/index.ts';
import { pathBytesMax } from './path-limit.ts';

/**
 * The cluster layer gives up by itself and says why; the core's own deadline is the net below it,
 * for whatever never comes back.
 */
const GRACE_MS = 5_000;
/** Some 500 bytes each; ten times what a program may have open by default (1,048,576). */
const HANDLES_MAX = 1_048_576;
/**
 * Re-reading whole files that the kernel has in memory, thousands of files a second in passthrough and
 * without it (two cores, medians of 9): 64 KiB 11.2 and 14.8, 128 KiB 11.8 and 12.2, 256 KiB 10.8 and 9.3,
 * 512 KiB 8.1 and 6.2, 1 MiB 6.7 and 3.8, 4 MiB 3.2 and 1.3. An open costs more; copying costs less, since
 * disk file systems keep large pieces of memory where FUSE keeps pages of 4 KiB.
 */
const PASSTHROUGH_BYTES_MIN = 256 * 1024;
/** Some 200 bytes each. */
const LISTING_ENTRIES_MAX = 1_000_000;

export function coreOptionsOf(config: MountConfig, incarnation: number): CoreOptions {
  return {
    incarnation,
    isReadOnly: config.readOnly,
    isImmutable: config.immutable,
    isWriteBack: config.writeMode === 'back',
    defaults: {
      uid: config.uid,
      gid: config.gid,
      fileMode: config.fileMode,
      dirMode: config.dirMode,
    },
    attrTimeoutMs: config.attrTimeoutMs,
    entryTimeoutMs: config.entryTimeoutMs,
    negativeTimeoutMs: config.negativeTimeoutMs,
    requestTimeoutMs: config.requestTimeoutMs + GRACE_MS,
    readAheadBytes: config.maxReadAheadBytes,
    passthroughBytesMin: PASSTHROUGH_BYTES_MIN,
    handlesMax: HANDLES_MAX,
    inodesMax: config.maxInodes,
    listingEntriesMax: LISTING_ENTRIES_MAX,
    pathBytesMax: pathBytesMax(config.mounts),
    provesAbsence: config.trustListings ? isListable : () => false,
  };
}

/** Open-source workers leave such names out of listings without a word. */
function isListable(name: ByteString): boolean {
  return !name.includes('?') && !name.includes('\\') && textOfByteString(name) !== undefined;
}
