/**
 * A second request for a page whose first takes longer than nearly all did lately, over another
 * connection: a packet that was lost, or a thread of the worker that is stuck, then costs no more than
 * that delay. Reads only; a small share of them, so that a worker that is slow for everybody does not
 * get twice the load.
 *
 * INVARIANT: the second request has memory of its own. The reader's is written by one connection at a
 * time: by the first until it is destroyed, then with what the second has brought.
 */
import { AttemptSink } from './attempt.ts';
import type { ClusterEvents } from './cluster-events.ts';
import type { ByteSink, CallContext } from './types.ts';
import { ClusterError } from './types.ts';
import type { PageNowOutcome, PageOutcome } from './worker-client.ts';

/** As `WorkerClient.readPageNow`, with the rest of its arguments filled in. */
export type StartRead = (
  sink: ByteSink,
  onEnd: (outcome: PageNowOutcome) => void,
) => (() => void) | undefined;

/** As `WorkerClient.readPage`, with the rest of its arguments filled in. */
export type AskForPage = (sink: ByteSink, context: CallContext) => Promise<PageOutcome>;

/** Latencies that are remembered; the delay follows a change within that many reads. */
const SAMPLES = 256;
/** Sorting them all again for each one would cost more than it tells. */
const READS_BETWEEN_LOOKS = 64;
const QUANTILE = 0.95;
/** A pause of a busy machine, ours or the worker's, is no reason to ask twice. */
const DELAY_MS_MIN = 50;
/** Before anything is known, and at most: a worker that is slow for everybody is not helped. */
const DELAY_MS_MAX = 1_000;
/** Second requests to a hundred reads, in the long run. */
const SHARE = 0.02;
/** A stall of one connection pool hits many at once. */
const BURST = 8;

export class Hedging {
  readonly #events: Pick<ClusterEvents, 'hedge'>;
  readonly #latencies = new Float64Array(SAMPLES);
  #count = 0;
  #delayMs = DELAY_MS_MAX;
  #allowance = 1;

  constructor(events: Pick<ClusterEvents, 'hedge'>) {
    this.#events = events;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** How long a read took that went well. */
  note(latencyMs: number): void {
    this.#latencies[this.#count++ % SAMPLES] = latencyMs;
    this.#allowance = Math.min(BURST, this.#allowance + SHARE);
    if (this.#count % READS_BETWEEN_LOOKS !== 0) return;
    const known = this.#latencies.slice(0, Math.min(this.#count, SAMPLES)).sort();
    const late = known[Math.floor(known.length * QUANTILE)] ?? DELAY_MS_MAX;
    this.#delayMs = Math.min(DELAY_MS_MAX, Math.max(DELAY_MS_MIN, late));
  }

  /** Whether one more may be sent now; it counts as sent. */
  take(): boolean {
    if (this.#allowance < 1) {
      this.#events.hedge('withheld');
      return false;
    }
    this.#allowance -= 1;
    this.#events.hedge('sent');
    return true;
  }

  /** Gives back what was taken for one that could not be sent. */
  untake(): void {
    this.#allowance += 1;
  }

  won(): void {
    this.#events.hedge('won');
  }

  /** Undefined where the first cannot be started; else what ends both. */
  run(
    start: StartRead,
    sink: ByteSink,
    lengthBytes: number,
    onEnd: (outcome: PageNowOutcome) => void,
  ): (() => void) | undefined {
    const read = new HedgedRead(this, start, sink, lengthBytes, onEnd);
    return read.start() ? () => read.cancel() : undefined;
  }
}

/**
 * The same for a call that answers by a promise, and that may wait for its connection. Ends as the first
 * request does, unless that fails or is late and the second brings the page.
 */
export async function hedgedPage(
  hedging: Hedging,
  ask: AskForPage,
  sink: ByteSink,
  lengthBytes: number,
  context: CallContext,
): Promise<PageOutcome> {
  const guarded = new AttemptSink(sink, lengthBytes);
  const first = started(ask, guarded.part(0, lengthBytes), context);
  if (await hasEndedWithin(first.outcome, hedging.delayMs)) return first.outcome;
  if (!hedging.take()) return first.outcome;
  const bytes = Buffer.allocUnsafeSlow(lengthBytes);
  const collect = (chunk: Uint8Array, offset: number): void => bytes.set(chunk, offset);
  const second = started(ask, collect, context);
  const hasSecond = second.outcome.then((outcome) => {
    if (outcome.kind === 'page' && outcome.lengthBytes === lengthBytes) return true;
    throw new ClusterError('protocol', 'The second request has brought no page');
  });
  const isSecond = await Promise.any([first.outcome.then(() => false), hasSecond]).catch(
    () => false,
  );
  (isSecond ? first : second).stop();
  if (!isSecond) return first.outcome;
  // Its connection is gone in the same turn: only then is the reader's memory ours.
  await first.outcome.catch(ignore);
  guarded.end();
  sink(bytes, 0);
  hedging.won();
  return { kind: 'page', lengthBytes };
}

interface Started {
  /** Handled, whether or not anybody waits for it. */
  readonly outcome: Promise<PageOutcome>;
  stop(): void;
}

function started(ask: AskForPage, sink: ByteSink, { signal, deadlineMs }: CallContext): Started {
  const own = new AbortController();
  const stop = (): void => own.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const outcome = ask(sink, { signal: own.signal, deadlineMs }).finally(() => {
    signal.removeEventListener('abort', stop);
  });
  outcome.catch(ignore);
  return { outcome, stop };
}

/** Well or not. */
async function hasEndedWithin(outcome: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const ended = outcome.then(
    () => true,
    () => true,
  );
  const answer = await Promise.race([ended, late]);
  clearTimeout(timer);
  return answer;
}

function ignore(): void {
  // Whoever waits for the other request does not care how this one ended.
}

class HedgedRead {
  readonly #hedging: Hedging;
  readonly #start: StartRead;
  readonly #sink: ByteSink;
  readonly #lengthBytes: number;
  readonly #onEnd: (outcome: PageNowOutcome) => void;
  #timer: NodeJS.Timeout | undefined;
  /** Ends the request that it belongs to; undefined where none runs. */
  #first: (() => void) | undefined;
  #second: (() => void) | undefined;
  /** How the first ended, while the second may still do better. */
  #firstOutcome: PageNowOutcome | undefined;
  #isOver = false;

  constructor(
    hedging: Hedging,
    start: StartRead,
    sink: ByteSink,
    lengthBytes: number,
    onEnd: (outcome: PageNowOutcome) => void,
  ) {
    this.#hedging = hedging;
    this.#start = start;
    this.#sink = sink;
    this.#lengthBytes = lengthBytes;
    this.#onEnd = onEnd;
  }

  start(): boolean {
    this.#first = this.#start(this.#sink, (outcome) => this.#firstEnded(outcome));
    if (this.#first === undefined) return false;
    this.#timer = setTimeout(() => this.#hedge(), this.#hedging.delayMs);
    return true;
  }

  cancel(): void {
    this.#finish(new ClusterError('cancelled', 'The call was cancelled'));
  }

  #hedge(): void {
    if (!this.#hedging.take()) return;
    const bytes = Buffer.allocUnsafeSlow(this.#lengthBytes);
    const collect = (chunk: Uint8Array, offset: number): void => bytes.set(chunk, offset);
    this.#second = this.#start(collect, (outcome) => this.#secondEnded(outcome, bytes));
    if (this.#second === undefined) this.#hedging.untake();
  }

  #firstEnded(outcome: PageNowOutcome): void {
    if (this.#first === undefined) return;
    this.#first = undefined;
    if (outcome === 'page' || this.#second === undefined) this.#finish(outcome);
    else this.#firstOutcome = outcome;
  }

  #secondEnded(outcome: PageNowOutcome, bytes: Buffer): void {
    this.#second = undefined;
    if (this.#isOver) return;
    if (outcome !== 'page') {
      // The first goes on; where it has failed, that is what there is to tell.
      if (this.#first === undefined) this.#finish(this.#firstOutcome ?? outcome);
      return;
    }
    this.#stopFirst();
    try {
      this.#sink(bytes, 0);
    } catch {
      // The long way meets the same and says what it is.
      this.#finish('unclear');
      return;
    }
    this.#hedging.won();
    this.#finish('page');
  }

  #stopFirst(): void {
    const stop = this.#first;
    // Nobody listens to how it ends.
    this.#first = undefined;
    stop?.();
  }

  #finish(outcome: PageNowOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const running = [this.#first, this.#second];
    this.#first = undefined;
    this.#second = undefined;
    for (const stop of running) stop?.();
    this.#onEnd(outcome);
  }
}
