/** Waiting for a load that the cluster runs, however long that takes. */
import { setTimeout } from 'node:timers/promises';
import type { AlluxioClient, AlluxioError, LoadAnswer } from '../client/index.ts';

/** The cluster is asked so often while its job is waited for. */
const WAIT_MS = 2000;
/** A worker that died stays an owner for two minutes, until its lease ends; then the next one is asked. */
const AWAY_MS_MAX = 150_000;

type Progress = Pick<AlluxioClient, 'loadProgress'>;

/** Questions that nobody answers for a while are no end of the job. */
export async function untilEnded(
  client: Progress,
  path: string,
  signal: AbortSignal,
  { waitMs = WAIT_MS, awayMsMax = AWAY_MS_MAX } = {},
): Promise<LoadAnswer> {
  let answeredMs = performance.now();
  for (;;) {
    try {
      const answer = await client.loadProgress(path, { signal });
      if (/SUCCEEDED|FAILED|STOPPED/.test(answer.jobState ?? '')) return answer;
      answeredMs = performance.now();
    } catch (error) {
      const isRetryable = (error as Partial<AlluxioError>).retryable === true;
      if (!isRetryable || signal.aborted || performance.now() - answeredMs > awayMsMax) throw error;
    }
    await setTimeout(waitMs, undefined, { signal });
  }
}
