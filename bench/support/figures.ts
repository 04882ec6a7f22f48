/** What is measured and how it is summed up. */

export interface Row {
  /** Unique over all scenarios. */
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** For docs/performance.md: what is done, in which state of which cache. */
  readonly meaning: string;
}

/** Row id → value of one round. */
export type Figures = Readonly<Record<string, number>>;

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly values: readonly number[];
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] as number;
  const lower = sorted[Math.ceil(middle) - 1] as number;
  return (lower + upper) / 2;
}

export function summarise(values: readonly number[]): Summary {
  const median = medianOf(values);
  return { median, min: Math.min(...values), max: Math.max(...values), values };
}

/** The JSON that a run leaves and docs/performance.md is made from. */
export interface Results {
  readonly date: string;
  readonly commit: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly runs: number;
  readonly subjects: readonly SubjectNote[];
  readonly scenarios: readonly ScenarioResult[];
}

export interface SubjectNote {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** Why it took no part. */
  readonly missing?: string;
}

export interface ScenarioResult {
  readonly name: string;
  /** When, of which commit and how often; in published results. */
  readonly measured?: string;
  /** Figures of several machines may come together, one scenario after the other. */
  readonly machine?: string;
  readonly rows: readonly RowResult[];
}

export interface RowResult extends Row {
  /** By subject id; a subject for which the row has no sense is not there. */
  readonly figures: Readonly<Record<string, Summary>>;
  /** By subject id: why there is no figure, or fewer than runs. */
  readonly failures: Readonly<Record<string, string>>;
}

/** Three digits that count: more would pretend a precision that a shared machine does not have. */
export function formatFigure(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = Number(value.toPrecision(3));
  // Thousands are set apart left of the point only.
  return rounded.toFixed(Math.min(digits, 4)).replace(/\B(?=(\d{3})+(?!\d))(?<!\..*)/g, ' ');
}

export function formatSummary(summary: Summary): string {
  const { median, min, max } = summary;
  const spread = `${formatFigure(min)}–${formatFigure(max)}`;
  return summary.values.length === 1 ? formatFigure(median) : `${formatFigure(median)} (${spread})`;
}
