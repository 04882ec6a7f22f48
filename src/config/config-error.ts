import type { ConfigProblem } from './types.ts';

/** `page-size from /etc/x.yaml:3: "5" is not allowed: use a size from …` */
export function formatProblem({ option, where, value, reason }: ConfigProblem): string {
  const given = value === undefined ? '' : ` "${value}"`;
  return `${option}${where === '' ? '' : ` (${where})`}:${given} ${reason}`;
}

/** All that is wrong with a configuration, not only the first thing. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
