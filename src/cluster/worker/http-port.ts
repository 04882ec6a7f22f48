/**
 * The HTTP port of a worker (28080): pages, ranges, info, listings. Connections are kept. A
 * connection closed without an answer is passed on as `undefined`: only the caller can find out
 * what it meant.
 */
import type { ByteString } from '../../base/byte-string.ts';
import { ClusterError, type ByteSink, type CallContext, type Worker } from '../types.ts';
import type {
  PageNowOutcome,
  PageOutcome,
  PageRequest,
  Personality,
  RangeRequest,
  WholePageRequest,
} from '../worker-client.ts';
import type { ContentConnections, Exchanges } from './connections.ts';
import { NotPlain } from './content-connection.ts';
import { readEntry, EntryScanner, parseEntries, type Dropped, type Entry } from './entries.ts';
import { ClosedWithoutAnswer, type ResponseHead, type ResponseReader } from './exchange.ts';
import { fileId, percentEncode } from './names.ts';
import type { QuickEnd } from './quick-exchange.ts';
import { ContentCounter, smallAnswer, statusOnly, type SmallAnswer } from './readers.ts';
import { parseContentLength } from './s3-answers.ts';
import { errorOfStatus, maxErrorBytes } from './status-errors.ts';
import { Batches } from './batches.ts';

/** One entry, however long its path. */
const maxInfoBytes = 1024 * 1024;
/** A million entries; they are handed on as they come, this only ends a server gone wrong. */
const maxListBytes = 256 * 1024 * 1024;

export type ConnectionsOf<E extends Exchanges = Exchanges> = (worker: Worker) => E;

export class HttpPort {
  readonly #connections: ConnectionsOf;
  readonly #contents: ConnectionsOf<ContentConnections>;
  readonly #pageSizeBytes: number;
  readonly #onFailure: (worker: Worker) => void;

  /** `onFailure` is told of every worker that could not be reached. */
  constructor(
    connections: ConnectionsOf,
    contents: ConnectionsOf<ContentConnections>,
    pageSizeBytes: number,
    onFailure: (worker: Worker) => void,
  ) {
    this.#connections = connections;
    this.#contents = contents;
    this.#pageSizeBytes = pageSizeBytes;
    this.#onFailure = onFailure;
  }

  /** The status of an answer to `target`, or undefined where the connection was closed instead. */
  probe(worker: Worker, target: string, context: CallContext): Promise<number | undefined> {
    return this.#ask(worker, target, undefined, statusOnly, context, true);
  }

  /** `encodedPath` is the value for `path=`, as this worker reads it. */
  async info(
    worker: Worker,
    path: ByteString,
    encodedPath: string,
    context: CallContext,
  ): Promise<Entry | Dropped | undefined> {
    const target = `/v1/info?path=${encodedPath}`;
    const reader = (): ResponseReader<SmallAnswer> => smallAnswer(maxInfoBytes);
    // No second try on a fresh connection: after a close the S3 port is asked, which is surer.
    const answer = await this.#ask(worker, target, path, reader, context, false);
    if (answer === undefined) return undefined;
    if (answer.head.status !== 200) {
      throw errorOfStatus(answer, { workerId: worker.id, path });
    }
    const entries = parseEntries(answer.body);
    if (entries.length !== 1) {
      throw new ClusterError('protocol', `Info of one path gave ${entries.length} entries`, {
        worker: worker.id,
        path,
      });
    }
    return readEntry(entries[0]);
  }

  /** Entries as they arrive; yields `undefined`, once, where the connection was closed instead. */
  async *list(
    worker: Worker,
    path: ByteString,
    encodedPath: string,
    context: CallContext,
  ): AsyncGenerator<(Entry | Dropped)[] | undefined> {
    // Ends the exchange when the consumer leaves early.
    const leave = new AbortController();
    const batches = new Batches<Entry | Dropped>();
    const onAbort = (): void => leave.abort();
    context.signal.addEventListener('abort', onAbort, { once: true });
    if (context.signal.aborted) leave.abort();
    const bounded = { ...context, signal: leave.signal };
    const reader = (): ResponseReader<SmallAnswer | 'listed'> => listReader(batches);
    const done = this.#ask(worker, `/v1/files?path=${encodedPath}`, path, reader, bounded, true);
    // Settled below, after the batches; until then a failure only ends them.
    done.then(
      () => batches.end(),
      () => batches.end(),
    );
    try {
      yield* batches;
      const result = await done;
      if (result === undefined) yield undefined;
      else if (result !== 'listed') throw errorOfStatus(result, { workerId: worker.id, path });
    } finally {
      context.signal.removeEventListener('abort', onAbort);
      leave.abort();
    }
  }

  /** As `WorkerClient.readPageNow`, of a worker that is known to be open source. */
  readPageNow(
    worker: Worker,
    request: WholePageRequest,
    sink: ByteSink,
    deadlineMs: number,
    onEnd: (outcome: PageNowOutcome) => void,
  ): (() => void) | undefined {
    const { ufsPath, pageIndex, lengthBytes, isEnd } = request;
    const length = isEnd ? this.#pageSizeBytes : lengthBytes;
    const target = `/v1/file/${fileId(ufsPath)}/page/${pageIndex}?offset=0&length=${length}`;
    const quick = { target, lengthBytes, sink, deadlineMs, workerId: worker.id };
    return this.#contents(worker).quickly(quick, (end) => {
      if (end instanceof ClusterError && end.code === 'unavailable') this.#onFailure(worker);
      onEnd(pageOutcomeOf(end));
    });
  }

  async readPage(
    worker: Worker,
    request: PageRequest,
    personality: Personality,
    sink: ByteSink,
    context: CallContext,
  ): Promise<PageOutcome> {
    const { ufsPath, pageIndex, offsetInPage, lengthBytes, isEnd = false } = request;
    const query: string[] = [];
    if (offsetInPage !== undefined && lengthBytes !== undefined) {
      const length = isEnd ? this.#pageSizeBytes - offsetInPage : lengthBytes;
      query.push(`offset=${offsetInPage}`, `length=${length}`);
    }
    if (personality === 'enterprise') query.push(`ufsFullPath=${percentEncode(ufsPath)}`);
    const search = query.length === 0 ? '' : `?${query.join('&')}`;
    const target = `/v1/file/${fileId(ufsPath)}/page/${pageIndex}${search}`;
    const atMost = lengthBytes ?? this.#pageSizeBytes - (offsetInPage ?? 0);
    const reader = (): ResponseReader<number | SmallAnswer> =>
      contentReader(sink, { atMost, isEnd });
    const result = await this.#askContent(worker, target, ufsPath, reader, context);
    if (result === undefined) return { kind: 'miss' };
    if (typeof result === 'number') return { kind: 'page', lengthBytes: result };
    if (result.head.status === 404) return { kind: 'miss' };
    throw errorOfStatus(result, { workerId: worker.id, path: ufsPath });
  }

  async readRange(
    worker: Worker,
    request: RangeRequest,
    sink: ByteSink,
    context: CallContext,
  ): Promise<number> {
    const { ufsPath, offset, lengthBytes } = request;
    const search = `ufsFullPath=${percentEncode(ufsPath)}&offset=${offset}&length=${lengthBytes}`;
    const target = `/v1/range/${fileId(ufsPath)}?${search}`;
    const reader = (): ResponseReader<number | SmallAnswer> =>
      contentReader(sink, { atMost: lengthBytes });
    const result = await this.#askContent(worker, target, request.path, reader, context);
    const about = { worker: worker.id, path: request.path };
    if (result === undefined) {
      throw new ClusterError('unsupported', 'The worker has no range endpoint', about);
    }
    if (typeof result !== 'number') {
      throw errorOfStatus(result, { workerId: worker.id, path: request.path });
    }
    if (result !== lengthBytes) {
      throw new ClusterError(
        request.version === undefined ? 'protocol' : 'version-changed',
        `The worker has ${result} of the ${lengthBytes} bytes asked for`,
        about,
      );
    }
    return result;
  }

  /** Straight from the socket; what is no plain content is asked for again in the general way. */
  async #askContent<T>(
    worker: Worker,
    target: string,
    path: string,
    newReader: () => ResponseReader<T>,
    context: CallContext,
  ): Promise<T | undefined> {
    const connections = this.#contents(worker);
    try {
      return await this.#ask(worker, target, path, newReader, context, true, connections);
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      return await this.#ask(worker, target, path, newReader, context, true);
    }
  }

  /** Undefined where the connection was closed without an answer. */
  async #ask<T>(
    worker: Worker,
    target: string,
    path: string | undefined,
    newReader: () => ResponseReader<T>,
    context: CallContext,
    mindStale: boolean,
    connections = this.#connections(worker),
  ): Promise<T | undefined> {
    const about = path === undefined ? {} : { path };
    const request = { method: 'GET', target, workerId: worker.id, ...about } as const;
    // A kept connection may have been closed for its age just as the request was written: such an
    // end is believed only of a fresh one.
    for (const fresh of [false, true]) {
      try {
        return await connections.exchange(request, newReader(), context, fresh);
      } catch (error) {
        if (!(error instanceof ClosedWithoutAnswer)) {
          if (error instanceof ClusterError && error.code === 'unavailable')
            this.#onFailure(worker);
          throw error;
        }
        if (!mindStale || !error.reused) return undefined;
      }
    }
    return undefined;
  }
}

function pageOutcomeOf(end: Exclude<QuickEnd, 'closed-reused'>): PageNowOutcome {
  switch (end) {
    case 'whole':
      return 'page';
    case 'closed':
      return 'miss';
    case 'odd':
      return 'unclear';
    default:
      return end;
  }
}

/**
 * 200 (or 206) with a length that fits is content; any other status is read as an error. `isEnd`: more is an
 * answer, too, of which only the length is taken.
 */
function contentReader(
  sink: ByteSink,
  bounds: { readonly atMost: number; readonly isEnd?: boolean },
): ResponseReader<number | SmallAnswer> {
  const counter = new ContentCounter(sink);
  let longerBytes: number | undefined;
  let error: ResponseReader<SmallAnswer> | undefined;
  return {
    onHead(head: ResponseHead) {
      if (head.status !== 200 && head.status !== 206) {
        error = smallAnswer(maxErrorBytes);
        return error.onHead(head);
      }
      const length = parseContentLength(head.header('content-length'));
      if (length === undefined) {
        throw new ClusterError('protocol', 'Content without a Content-Length');
      }
      if (length > bounds.atMost) {
        if (bounds.isEnd === true) {
          longerBytes = length;
          return 'stop';
        }
        throw new ClusterError(
          'protocol',
          `The worker sends ${length} bytes where at most ${bounds.atMost} were asked for; ` +
            'is the page size the one of the cluster?',
        );
      }
      counter.expect(length);
      return 'read';
    },
    onData(chunk, flow) {
      if (error === undefined) counter.take(chunk);
      else error.onData(chunk, flow);
    },
    memory: () => (error === undefined ? counter.memory() : undefined),
    received: (bytes) => counter.received(bytes),
    onEnd: () => longerBytes ?? (error === undefined ? counter.finish() : error.onEnd()),
  };
}

function listReader(batches: Batches<Entry | Dropped>): ResponseReader<SmallAnswer | 'listed'> {
  const scanner = new EntryScanner();
  let error: ResponseReader<SmallAnswer> | undefined;
  let size = 0;
  return {
    onHead(head) {
      if (head.status === 200) return 'read';
      error = smallAnswer(maxErrorBytes);
      return error.onHead(head);
    },
    onData(chunk, flow) {
      if (error !== undefined) {
        error.onData(chunk, flow);
        return;
      }
      size += chunk.length;
      if (size > maxListBytes) {
        throw new ClusterError('protocol', `The listing is longer than ${maxListBytes} bytes`);
      }
      batches.push(
        scanner.push(chunk).map((value) => readEntry(value)),
        flow,
      );
    },
    onEnd() {
      if (error !== undefined) return error.onEnd();
      scanner.end();
      return 'listed';
    },
  };
}
