/** The figures that this project wants to reach, looked up in the results of a run. */
import { SUBJECT_TITLES } from '../subjects/all.ts';
import { formatFigure } from './figures.ts';
import type { Results, RowResult, Summary } from './figures.ts';

type Target =
  /** So many times as good as `than`, in the same row. */
  | { readonly kind: 'times'; readonly than: string; readonly least: number }
  /** No more than so many times what `than` takes. */
  | { readonly kind: 'share'; readonly than: string; readonly most: number }
  /** No more than so much beyond `than`, in the unit of the row. */
  | { readonly kind: 'beyond'; readonly than: string; readonly most: number }
  | { readonly kind: 'most'; readonly most: number };

interface Goal {
  readonly work: string;
  readonly row: string;
  readonly who: string;
  readonly target: Target;
}

export interface Verdict {
  readonly work: string;
  readonly who: string;
  /** Compared with whom; '' where the figure stands for itself. */
  readonly than: string;
  readonly goal: string;
  /** Undefined where the results have no such figure. */
  readonly reached: Reached | undefined;
}

interface Reached {
  readonly text: string;
  /** 1 is the goal, more is better. */
  readonly ofGoal: number;
}

const times = (than: string, least: number): Target => ({ kind: 'times', than, least });
const share = (than: string, most: number): Target => ({ kind: 'share', than, most });
const beyond = (than: string, most: number): Target => ({ kind: 'beyond', than, most });
const most = (bound: number): Target => ({ kind: 'most', most: bound });

const goal = (work: string, row: string, who: string, target: Target): Goal => ({
  work,
  row,
  who,
  target,
});

const JAVA = 'alluxio-fuse';

const GOALS: readonly Goal[] = [
  goal('sequential, cold', 'seq-cold', 'ours', times(JAVA, 2)),
  goal('sequential, again', 'seq-kernel', 'ours', times(JAVA, 10)),
  goal('random 4 KiB, again', 'random-kernel', 'ours', times(JAVA, 20)),
  goal('ls -l of 3,000, first', 'ls-l-3000', 'ours', times(JAVA, 10)),
  goal('small files, mount cold, 1 reader', 'small-cold', 'ours', times(JAVA, 2)),
  goal('small files, mount cold, 8 readers', 'small-cold-8', 'ours', times(JAVA, 2)),
  goal('small files again, 1 reader', 'small-again', 'ours', times(JAVA, 20)),
  goal('small files again, 8 readers', 'small-again-8', 'ours', times(JAVA, 20)),
  goal('sequential, warm', 'seq-again', 'ours-disk', times('local', 0.9)),
  goal('random 4 KiB, warm, 1 thread', 'random-warm', 'ours-disk', times('local', 0.8)),
  goal('random 4 KiB, warm, 8 threads', 'random-warm-8', 'ours-disk', times('local', 0.8)),
  goal('small files again, 1 reader', 'small-again', 'ours-immutable', times('local', 0.8)),
  goal('small files again, 8 readers', 'small-again-8', 'ours-immutable', times('local', 0.8)),
  ...['rclone', 's3fs'].flatMap((peer) => [
    goal('small files again, 1 reader', 'small-again', 'ours', times(peer, 3)),
    goal('small files again, 8 readers', 'small-again-8', 'ours', times(peer, 3)),
  ]),
  goal('sequential, cold', 'seq-cold', 'ours', times('curl-page', 0.8)),
  goal('sequential, cold', 'seq-cold', 'ours-dev', times('curl-page-dev', 0.8)),
  goal('sequential, cold', 'seq-cold', 'ours', times('rclone', 2)),
  goal('sequential, cold', 'seq-cold', 'ours', times('s3fs', 2)),
  goal('small files, mount cold, 8 readers', 'small-cold-8', 'ours', times('load', 0.8)),
  goal('small files, mount cold, 8 readers', 'small-cold-8', 'ours-dev', times('load-dev', 0.8)),
  goal('stat, attributes known', 'stat-cached', 'ours', times('libfuse', 1)),
  ...(['', '-dev'] as const).flatMap((worker) => [
    goal('ls -f of 100,000', 'ls-f-100000', `ours${worker}`, most(1000)),
    goal('ls -l of 100,000', 'ls-l-100000', `ours${worker}`, most(2000)),
    goal('first entry', 'first-entry', `ours${worker}`, beyond(`curl-page${worker}`, 100)),
  ]),
  goal('ring built', 'ring-build', 'program', most(1000)),
  goal('path looked up', 'ring-look-up', 'program', most(1)),
  goal('first byte, mount cold', 'first-byte', 'ours', share('curl-page', 1.5)),
  goal('first byte, server cold too', 'first-byte-server-cold', 'ours', share('curl-s3', 1.5)),
  goal('processor time, cold', 'cpu-cold', 'ours', most(1)),
  goal('processor time, warm', 'cpu-again', 'ours', most(0.5)),
  goal('processor time, passthrough', 'cpu-again', 'ours-disk', most(0.1)),
  goal('memory for a million names', 'memory-names', 'ours-dev', most(300)),
  goal('memory beyond the limit, 4 readers', 'memory-streams', 'ours', most(200)),
  goal('processor time, idle', 'idle-cpu', 'ours', most(0.06)),
];

export function verdicts(results: Results): Verdict[] {
  const rows = new Map(results.scenarios.flatMap(({ rows: list }) => list).map((r) => [r.id, r]));
  return GOALS.map(({ work, row: id, who, target }) => {
    const row = rows.get(id);
    return {
      work,
      who: SUBJECT_TITLES.get(who) ?? who,
      than: target.kind === 'most' ? '' : (SUBJECT_TITLES.get(target.than) ?? target.than),
      goal: goalText(target, row?.unit ?? ''),
      reached: row === undefined ? undefined : reachedOf(row, who, target),
    };
  });
}

function goalText(target: Target, unit: string): string {
  switch (target.kind) {
    case 'times':
      return `≥ ${target.least} ×`;
    case 'share':
      return `≤ ${target.most} ×`;
    case 'beyond':
      return `≤ ${target.most} ${unit} more`;
    default:
      return `≤ ${target.most} ${unit}`;
  }
}

function reachedOf(row: RowResult, who: string, target: Target): Reached | undefined {
  const own = row.figures[who];
  if (own === undefined) return undefined;
  if (target.kind === 'most') {
    return {
      text: `${formatFigure(own.median)} ${row.unit}`,
      ofGoal: part(target.most, own.median),
    };
  }
  const other: Summary | undefined = row.figures[target.than];
  if (other === undefined) return undefined;
  const a = own.median;
  const b = other.median;
  if (target.kind === 'beyond') {
    return { text: `${formatFigure(a - b)} ${row.unit}`, ofGoal: part(target.most, a - b) };
  }
  const figures = `${formatFigure(a)} : ${formatFigure(b)} ${row.unit}`;
  if (target.kind === 'share') {
    return { text: `${formatFigure(a / b)} × (${figures})`, ofGoal: part(target.most, a / b) };
  }
  const better = row.better === 'higher' ? a / b : b / a;
  return { text: `${formatFigure(better)} × (${figures})`, ofGoal: better / target.least };
}

/** What is nothing, or less, is as far below a bound as a plot shows. */
const FAR = 100;

function part(bound: number, value: number): number {
  return value <= bound / FAR ? FAR : bound / value;
}

export function goalsTable(list: readonly Verdict[]): string {
  const met = list.filter(({ reached }) => reached !== undefined && reached.ofGoal >= 1).length;
  const measured = list.filter(({ reached }) => reached !== undefined).length;
  const lines = list.map(({ work, who, than, goal: wanted, reached }) => {
    const cells =
      reached === undefined
        ? ['', 'not measured']
        : [reached.text, reached.ofGoal >= 1 ? 'met' : 'not met'];
    return `| ${[work, who, than, wanted, ...cells].join(' | ')} |`;
  });
  return [
    `${met} of ${list.length} met, ${measured - met} not met, ${list.length - measured} not measured.`,
    [
      '| work | who | compared with | goal | reached | |',
      '| --- | --- | --- | --- | --- | --- |',
      ...lines,
    ].join('\n'),
  ].join('\n\n');
}
