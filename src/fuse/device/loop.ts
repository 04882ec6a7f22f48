/**
 * The kernel thread's loop: waits for requests and for wake-ups, hands both on, never returns before
 * the mount is gone. It blocks its thread by design: measured, a blocking loop answers four times as
 * many requests as asynchronous reads.
 */
import { Poller, takeEventfd } from '../../sys/index.ts';
import { READ_BUFFER_BYTES } from './channel.ts';
import type { FuseChannel } from './channel.ts';

export interface LoopHandler {
  request(buffer: Buffer, length: number): void;
  /** Another thread left something. */
  wake(): void;
  /** Time has passed. */
  tick(): void;
  /** How long until the next tick, at the longest, as things are now. */
  tickWithinMs(): number;
  /** Whether the loop should end although the mount is still there. */
  isStopped(): boolean;
}

export function runLoop(channel: FuseChannel, wakeFd: number, handler: LoopHandler): void {
  const poller = new Poller([channel.fd, wakeFd]);
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  let nextTickMs = 0;
  for (;;) {
    const nowMs = performance.now();
    if (nowMs >= nextTickMs) {
      handler.tick();
      nextTickMs = Infinity;
    }
    nextTickMs = Math.min(nextTickMs, nowMs + handler.tickWithinMs());
    poller.wait(Math.max(1, Math.ceil(nextTickMs - nowMs)));
    if (poller.isReady(1)) {
      takeEventfd(wakeFd);
      handler.wake();
    }
    if (handler.isStopped()) return;
    if (!poller.isReady(0)) continue;
    // One request a turn: most of the time one program waits for one answer, and asking at once for
    // another would only cost EAGAIN; results of the cluster never wait behind many requests.
    const outcome = channel.read(buffer);
    if (outcome === 'gone') return;
    if (outcome !== 'none') handler.request(buffer, outcome);
  }
}
