/** What goes wrong, on standard error: lines for people, with --json one object a line. */
import type { CliContext } from './context.ts';

export interface Complaint {
  readonly code?: string | undefined;
  readonly operation?: string | undefined;
  readonly path?: string | undefined;
  readonly worker?: string | undefined;
  readonly reason: string;
}

/** Known before the command line is parsed: what is wrong with it is told in the same way. */
export function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).includes('--json');
}

/** `text`: for people, where that is not the reason alone. */
export function complain(
  context: Pick<CliContext, 'err'>,
  isJson: boolean,
  complaint: Complaint,
  text = complaint.reason,
): void {
  const { code, operation, path, worker, reason } = complaint;
  if (isJson) context.err(JSON.stringify({ error: { code, operation, path, worker, reason } }));
  else context.err(`alluxio-fuse: ${text}`);
}

export function warn(
  context: Pick<CliContext, 'err'>,
  isJson: boolean,
  message: string,
  fields: object,
): void {
  if (isJson) context.err(JSON.stringify({ warning: { ...fields, message } }));
  else context.err(`alluxio-fuse: ${message} ${JSON.stringify(fields)}`);
}
