/**
 * Memory that is written for the first time costs a page fault for every 4 KiB, some 0.6 CPU seconds
 * a gigabyte, most of what a fresh mount's first read costs. Asked for in one call it is half of that,
 * and on a thread of libuv's pool, while the network is waited for. (Huge pages would be cheaper on
 * bare metal; on a virtual machine whose host gives memory by 4 KiB they were seen to cost six times as much.)
 */
import koffi from 'koffi';

// null: the symbols of this process, libc among them.
const libc = koffi.load(null);

const nativeMadvise = libc.func('int madvise(void *address, size_t length, int advice)');
const madviseLater = nativeMadvise.async as (
  address: Buffer,
  lengthBytes: number,
  advice: number,
  done: (error: Error | null, result: number) => void,
) => void;

/** Since Linux 5.14. Changes no byte, whatever else reads or writes there meanwhile. */
const MADV_POPULATE_WRITE = 23;
/** The largest page size of Linux on the machines that Node runs on: a multiple of the others. */
const ALIGNMENT = 64 * 1024;

/**
 * Has the pages that begin within this part of a buffer ready before they are written. `done` hears
 * whether the kernel could: if not, they come one by one as ever.
 */
export function populate(
  buffer: ArrayBuffer | SharedArrayBuffer,
  offset: number,
  lengthBytes: number,
  done: (isDone: boolean) => void,
): void {
  const address = Number(koffi.address(Buffer.from(buffer, 0, 1)) % BigInt(ALIGNMENT));
  const alignUp = (at: number): number =>
    Math.ceil((address + at) / ALIGNMENT) * ALIGNMENT - address;
  const start = alignUp(offset);
  const end = Math.min(alignUp(offset + lengthBytes), alignUp(buffer.byteLength) - ALIGNMENT);
  if (end <= start) return;
  const part = Buffer.from(buffer, start, end - start);
  madviseLater(part, end - start, MADV_POPULATE_WRITE, (error, result) =>
    done(error === null && result === 0),
  );
}
