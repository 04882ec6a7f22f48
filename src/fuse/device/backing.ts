/** Files that the kernel reads instead of asking us (FUSE passthrough, Linux 6.9). */
import { ioctl } from '../../sys/index.ts';
import { DeviceIoctl, encodeBackingMap } from '../wire/index.ts';

const ARGUMENT_BYTES = 16;
/** The kernel copies it before the call returns; one a thread is enough. */
const argument = Buffer.alloc(ARGUMENT_BYTES);

/** The id that stands for the open file on this connection until it is closed. */
export function openBacking(fuseFd: number, fileFd: number): number {
  encodeBackingMap(argument, 0, fileFd);
  return ioctl(fuseFd, DeviceIoctl.BACKING_OPEN, argument);
}

/** Handles that were opened with the id go on reading; new ones cannot be. */
export function closeBacking(fuseFd: number, id: number): void {
  argument.writeUInt32LE(id, 0);
  ioctl(fuseFd, DeviceIoctl.BACKING_CLOSE, argument);
}
