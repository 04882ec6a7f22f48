/** A job that is waited for ends when the cluster says so, not when a question about it fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlluxioError, type LoadAnswer } from '../client/index.ts';
import { untilEnded } from './job-wait.ts';

const away = new AlluxioError('unavailable', 'No worker answers', { retryable: true });
const { signal } = new AbortController();

/** Answers in turn; the last one for good. */
function cluster(...turns: readonly (LoadAnswer | AlluxioError)[]) {
  let asked = 0;
  const loadProgress = async (): Promise<LoadAnswer> => {
    const turn = turns[Math.min(asked++, turns.length - 1)] as LoadAnswer | AlluxioError;
    if (turn instanceof Error) throw turn;
    return turn;
  };
  return { loadProgress, asked: () => asked };
}

const answer = (jobState: string): LoadAnswer => ({ jobState, message: '' }) as LoadAnswer;

test('questions that fail for a while are asked again', async () => {
  const one = cluster(answer('RUNNING'), away, away, answer('SUCCEEDED'));
  const { jobState } = await untilEnded(one, '/p', signal, { waitMs: 1 });
  assert.deepEqual([jobState, one.asked()], ['SUCCEEDED', 4]);
});

test('a cluster that stays away, and a no that stays one, end the waiting', async () => {
  const gone = cluster(answer('RUNNING'), away);
  await assert.rejects(untilEnded(gone, '/p', signal, { waitMs: 1, awayMsMax: 300 }), away);
  assert.ok(gone.asked() > 2);
  const no = cluster(new AlluxioError('not-found', 'There is no such job'));
  await assert.rejects(untilEnded(no, '/p', signal, { waitMs: 1 }), { code: 'not-found' });
  assert.equal(no.asked(), 1);
});
