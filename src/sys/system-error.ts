/** A failed libc call. */
export class SystemError extends Error {
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call} failed with errno ${errno}`);
    this.name = 'SystemError';
    this.call = call;
    this.errno = errno;
  }
}
