/**
 * The `fuse-native` driver: the kernel through libfuse 2 and the package of that name. It is for
 * machines where the `device` driver cannot mount, and does less:
 *
 * - Names pass as UTF-8 text. One that is not valid UTF-8 is listed with U+FFFD in it, and asking
 *   for it, or for any name spelled with U+FFFD, is EIO; never another file.
 * - Timeouts of attributes and names are one for the whole mount, and the kernel cannot be told that
 *   a file has changed: so they must be short. Every open drops what the kernel holds of the file.
 * - Inode numbers are libfuse's own and change over time.
 * - A listing is answered as a whole, however long it takes to arrive.
 * - Requests are at most 128 KiB. A program's interruption is not passed on.
 * - Who asks is not passed on: new files belong to whom the mount says (--uid, --gid). The kernel
 *   checks permissions all the same.
 * - A file that is removed or replaced while somebody has it open is renamed to `.fuse_hidden…` by
 *   libfuse until it is closed: that name shows, and keeps its directory from being removed.
 * - A call that sets one of a file's two times alone changes nothing and succeeds (touch -m, tar -x):
 *   libfuse drops it. Both together work (touch, cp -p).
 * - fallocate is EOPNOTSUPP, and renaming with RENAME_NOREPLACE or RENAME_EXCHANGE is EINVAL.
 * - A process that ends takes the mount with it: there is nothing to hand over.
 * - A mount point must not be the root of another mount, and its path not longer than 1023 bytes.
 * - The package leaks some 500 bytes for each libfuse thread that ends (libfuse keeps ten idle).
 * - Linux has a prebuilt binary for x86-64 only; elsewhere npm builds it, with a C compiler.
 *
 * It knows nothing of what is served, and is the only place that knows the package.
 */
export { NativeErrno } from './handler.ts';
export type { NativeChange, NativeEntry, NativeEvents, NativeHandler } from './handler.ts';
export { NativeMount } from './mount.ts';
export type { NativeMountOptions } from './mount.ts';
export { loadPackage } from './package.ts';
