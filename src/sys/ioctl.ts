/** ioctl(2) with a pointer argument. */
import koffi from 'koffi';
import { SystemError } from './system-error.ts';

const libc = koffi.load(null);
const nativeIoctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)') as (
  fd: number,
  request: number,
  argument: Buffer,
) => number;

/** What the call returns; throws `SystemError` for -1. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  const result = nativeIoctl(fd, request, argument);
  if (result < 0) throw new SystemError('ioctl', koffi.errno());
  return result;
}
