/** Host lists: etcd endpoints and static workers. Both take IPv6 addresses in brackets. */
import { splitList, ValueError } from './values.ts';
import type { ValueKind } from './values.ts';

/** A port or undefined, for "the configured default". */
export interface HostAndPorts {
  readonly host: string;
  readonly ports: readonly number[];
}

export interface EtcdHost {
  readonly scheme: 'http' | 'https' | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

const HOST = /^(\[[0-9a-f:.]+(?:%\w+)?\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)((?::\d{1,5})*)$/i;

/** Throws `ValueError`. */
export function parseHost(text: string, portsMax: number): HostAndPorts {
  const match = HOST.exec(text);
  const host = match?.[1];
  if (match === null || host === undefined) throw new ValueError(`"${text}" is not a host`);
  const ports = (match[2] ?? '').split(':').slice(1).map(Number);
  if (ports.length > portsMax) throw new ValueError(`"${text}" has too many ports`);
  if (ports.some((port) => port < 1 || port > 65535)) {
    throw new ValueError(`"${text}" has a port outside 1 to 65535`);
  }
  return { host, ports };
}

function parseEtcdHost(text: string): EtcdHost {
  const match = /^(?:(https?):\/\/)?(.*?)\/?$/i.exec(text);
  const { host, ports } = parseHost(match?.[2] ?? '', 1);
  const scheme = match?.[1]?.toLowerCase();
  return {
    scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined,
    host,
    port: ports[0],
  };
}

function formatEtcdHost({ scheme, host, port }: EtcdHost): string {
  return `${scheme === undefined ? '' : `${scheme}://`}${host}${port === undefined ? '' : `:${port}`}`;
}

function listKind<T>(
  allowed: string,
  noCredentials: string,
  parseOne: (text: string) => T,
  formatOne: (value: T) => string,
): ValueKind<readonly T[]> {
  return {
    placeholder: 'LIST',
    allowed,
    parse(text) {
      // Before the parts are looked at: a password may hold commas, and would be shown in part.
      if (text.includes('@')) throw new ValueError(noCredentials);
      const parts = splitList(text);
      if (parts.length === 0) throw new ValueError('names no host');
      return parts.map(parseOne);
    },
    format: (values) => values.map(formatOne).join(','),
  };
}

export const etcdHostsKind: ValueKind<readonly EtcdHost[]> = listKind(
  'a comma list of HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT',
  'takes no user name or password (there are --etcd-username and --etcd-password-file)',
  parseEtcdHost,
  formatEtcdHost,
);

export const workerHostsKind: ValueKind<readonly HostAndPorts[]> = listKind(
  'a comma list of HOST, HOST:HTTP_PORT or HOST:HTTP_PORT:S3_PORT',
  'takes no user name or password',
  (text) => parseHost(text, 2),
  ({ host, ports }) => [host, ...ports].join(':'),
);
