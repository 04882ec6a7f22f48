import type { Bench, CopierSubject, CurlSubject, MountSubject } from '../subjects/subject.ts';
import type { Figures, Row } from './figures.ts';

export interface Scenario {
  readonly name: string;
  readonly rows: readonly Row[];
  /** One round; leaves out rows that have no sense for this mount. */
  mount(subject: MountSubject, bench: Bench, round: number): Promise<Figures>;
  curl?(subject: CurlSubject, bench: Bench, round: number): Promise<Figures>;
  copier?(subject: CopierSubject, bench: Bench, round: number): Promise<Figures>;
}

/** So many of something a second. */
export function rate(measured: { readonly seconds: number; readonly count: number }): number {
  return measured.count / measured.seconds;
}

export function megabytesPerSecond(bytes: number, seconds: number): number {
  return bytes / 1e6 / seconds;
}
