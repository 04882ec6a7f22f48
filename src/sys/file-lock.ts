/** flock(2): a lock that ends with the process, in whatever container it runs. */
import koffi from 'koffi';
import { SystemError } from './system-error.ts';

// null: the symbols of this process, libc among them.
const libc = koffi.load(null);

const nativeFlock = libc.func('int flock(int fd, int operation)') as (
  fd: number,
  operation: number,
) => number;

/** LOCK_EX | LOCK_NB. */
const LOCK_NOW = 2 | 4;
const EWOULDBLOCK = 11;

/** Whether the open file is now locked by us; it is until it is closed. */
export function tryLock(fd: number): boolean {
  if (nativeFlock(fd, LOCK_NOW) === 0) return true;
  const errno = koffi.errno();
  if (errno === EWOULDBLOCK) return false;
  throw new SystemError('flock', errno);
}
