/** Typed libc calls that Node lacks. Only this folder touches native code through koffi. */
export { FdReceiver } from './fd-passing.ts';
export { tryLock } from './file-lock.ts';
export {
  createEventfd,
  Poller,
  setBlocksAside,
  setNonBlocking,
  signalEventfd,
  takeEventfd,
} from './libc.ts';
export { ioctl } from './ioctl.ts';
export { populate } from './populate.ts';
export { SystemError } from './system-error.ts';
