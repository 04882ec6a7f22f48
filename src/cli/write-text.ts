/** What a writable mount has not brought to the cluster yet, as text for people. */
import type { StatusWrites } from './daemon-api.ts';
import { ageText, bytesText, plural, printable } from './words.ts';

/** What waits, in parts; empty when the cluster has everything. */
export function backlogParts(writes: StatusWrites): string[] {
  const files = (count: number, bytes: number): string =>
    `${plural(count, 'file')} (${bytesText(bytes)})`;
  const { unsavedFiles, uploadsPending, attributesPending, repairsPending } = writes;
  return [
    ...(unsavedFiles === 0 ? [] : [`${files(unsavedFiles, writes.unsavedBytes)} not saved`]),
    ...(uploadsPending === 0
      ? []
      : [`${files(uploadsPending, writes.uploadBytesPending)} in the journal`]),
    ...(attributesPending === 0
      ? []
      : [`attributes of ${plural(attributesPending, 'directory', 'directories')} in the journal`]),
    ...(repairsPending === 0
      ? []
      : [
          `${plural(repairsPending, 'rename, removal or upload', 'renames, removals or uploads')} to finish`,
        ]),
  ];
}

export function failureText({ lastError, retryInMs }: StatusWrites): string | undefined {
  if (lastError === undefined) return undefined;
  const retry = retryInMs === undefined ? '' : `; tried again in ${ageText(retryInMs)}`;
  return `${printable(lastError)}${retry}`;
}

export function writeRows(writes: StatusWrites | undefined): string[][] {
  if (writes === undefined) return [];
  const { writeMode, uploads, staging, keptFiles, oldestAgeMs } = writes;
  const parts = backlogParts(writes);
  const age = oldestAgeMs === 0 ? '' : `, the oldest change ${ageText(oldestAgeMs)} old`;
  const waiting = parts.length === 0 ? 'the cluster has everything' : parts.join(', ') + age;
  const failure = failureText(writes);
  return [
    ['writes', `mode ${writeMode}, ${waiting}`],
    ...(failure === undefined ? [] : [['WARNING', `cannot be saved: ${failure}`]]),
    [
      'uploads',
      `${uploads.active} under way, ${plural(uploads.succeeded, 'success', 'successes')}, ${plural(uploads.failed, 'failure')}, ${bytesText(uploads.sentBytes)} sent`,
    ],
    [
      'staging',
      `${bytesText(staging.usedBytes)} of ${bytesText(staging.limitBytes)} used in ${printable(staging.directory)}`,
    ],
    ...(keptFiles === 0 ? [] : [['kept', `${plural(keptFiles, 'removed file')} still open`]]),
    ...writes.renames.map(({ from, to, phase, filesCopied }) => [
      'rename',
      `${printable(from)} to ${printable(to)}: ${phase}, ${plural(filesCopied, 'file')} copied`,
    ]),
  ];
}

/** What is still waited for, in one line. */
export function savingText(writes: StatusWrites): string {
  const failure = failureText(writes);
  const { active, sentBytes } = writes.uploads;
  return [
    `saving: ${backlogParts(writes).join(', ')}`,
    `${plural(active, 'upload')} under way, ${bytesText(sentBytes)} sent`,
    ...(failure === undefined ? [] : [failure]),
  ].join('; ');
}
