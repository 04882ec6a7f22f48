/** Judges the answer to a ranged S3 GET: no byte reaches the sink before the head adds up. */
import { ClusterError, type ByteSink } from '../types.ts';
import type { RangeRequest, S3Outcome } from '../worker-client.ts';
import type { ResponseHead, ResponseReader } from './exchange.ts';
import { ContentCounter, smallAnswer, type SmallAnswer } from './readers.ts';
import {
  parseContentLength,
  parseContentRange,
  parseLocation,
  parseVersionTag,
} from './s3-answers.ts';
import { maxErrorBytes } from './status-errors.ts';

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function rangeReader(
  request: RangeRequest,
  workerId: string,
  sink: ByteSink,
): ResponseReader<S3Outcome | SmallAnswer> {
  const counter = new ContentCounter(sink);
  let outcome: S3Outcome | undefined;
  let error: ResponseReader<SmallAnswer> | undefined;
  return {
    onHead(head) {
      if (redirects.has(head.status)) {
        outcome = { kind: 'redirect', ...parseLocation(head.header('location')) };
        // It has no length; the worker only closes. All that counts is in the head.
        return 'stop';
      }
      if (head.status !== 200 && head.status !== 206) {
        error = smallAnswer(maxErrorBytes);
        return error.onHead(head);
      }
      const data = judge(head, request, workerId);
      counter.expect(data.lengthBytes);
      outcome = data;
      return 'read';
    },
    onData(chunk, flow) {
      if (error === undefined) counter.take(chunk);
      else error.onData(chunk, flow);
    },
    memory: () => (error === undefined ? counter.memory() : undefined),
    received: (bytes) => counter.received(bytes),
    onEnd() {
      if (error !== undefined) return error.onEnd();
      if (outcome === undefined) throw new ClusterError('protocol', 'An answer without a head');
      if (outcome.kind === 'data') counter.finish();
      return outcome;
    },
  };
}

function judge(
  head: ResponseHead,
  request: RangeRequest,
  workerId: string,
): Extract<S3Outcome, { kind: 'data' }> {
  const about = { worker: workerId, path: request.path };
  const odd = (why: string): ClusterError =>
    new ClusterError('protocol', `The S3 answer does not add up: ${why}`, {
      ...about,
      retryable: true,
    });
  const contentLength = parseContentLength(head.header('content-length'));
  const range = parseContentRange(head.header('content-range'));
  const etag = head.header('etag');
  const tag = parseVersionTag(etag);
  if (contentLength === undefined) throw odd('no Content-Length');
  if (head.status === 206 && range === undefined) throw odd('206 without a usable Content-Range');
  // A directory is served like an empty file, but has no ETag.
  if (contentLength === 0 && etag === undefined && (range?.fileLengthBytes ?? 0) === 0) {
    throw new ClusterError('is-a-directory', 'The path is a directory', about);
  }
  const fileLengthBytes = range?.fileLengthBytes ?? contentLength;
  if (tag !== undefined && tag.lengthBytes !== fileLengthBytes) {
    throw odd(`ETag and length disagree (${etag} against ${fileLengthBytes})`);
  }
  const { version } = request;
  if (version !== undefined) {
    const changed =
      fileLengthBytes !== version.lengthBytes ||
      (tag !== undefined && tag.mtimeMs !== version.mtimeMs) ||
      (tag === undefined && hashesDiffer(etag, version.contentHash));
    if (changed) {
      throw new ClusterError(
        'version-changed',
        'The file is not the version that was opened',
        about,
      );
    }
  }
  if (request.offset >= fileLengthBytes) throw odd('the range begins past the end of the file');
  const end = Math.min(request.offset + request.lengthBytes, fileLengthBytes);
  const lengthBytes = end - request.offset;
  if (range === undefined) {
    // 200 is the whole file: right only where that was asked for.
    if (request.offset !== 0 || lengthBytes !== contentLength) {
      throw odd('the whole file where a part was asked for');
    }
  } else if (
    range.first !== request.offset ||
    range.last !== end - 1 ||
    contentLength !== lengthBytes
  ) {
    throw odd(
      `asked for ${request.offset} to ${end - 1}, got ${range.first} to ${range.last} ` +
        `in ${contentLength} bytes`,
    );
  }
  return { kind: 'data', lengthBytes, fileLengthBytes, mtimeMs: tag?.mtimeMs };
}

function hashesDiffer(etag: string | undefined, hash: string | undefined): boolean {
  return etag !== undefined && hash !== undefined && unquoted(etag) !== unquoted(hash);
}

function unquoted(tag: string): string {
  return tag.replace(/^(?:W\/)?"(.*)"$/, '$1');
}
