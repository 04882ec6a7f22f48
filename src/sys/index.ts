/** Typed libc calls that Node lacks. Only this folder touches native code through koffi. */
export { createEventfd, Poller, SystemError } from './libc.ts';
