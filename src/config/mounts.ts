/** Where the under stores of a cluster are mounted in its name space. */
import type { ConfiguredMount, MountConfig } from './types.ts';
import { splitList, ValueError, withoutCredentials } from './values.ts';
import type { ValueKind } from './values.ts';

export const ufsKind: ValueKind<string> = {
  placeholder: 'URI',
  allowed: 'a URI with its scheme, such as s3://bucket/data or file:///data',
  parse(text) {
    const match = /^([a-z][a-z0-9+.-]*):\/\/(.*?)\/*$/is.exec(text);
    const [scheme, rest] = [match?.[1]?.toLowerCase(), match?.[2]];
    if (scheme === undefined || rest === undefined || text !== text.trim()) throw new ValueError();
    if (scheme === 'file') {
      if (!/^file:\/\/\//i.test(text)) throw new ValueError('needs three slashes after file:');
      return rest === '' ? 'file:///' : `file://${rest}`;
    }
    if (rest === '') throw new ValueError();
    // Its value is shown in many places, from the log to an extended attribute.
    if (/^[^/]*@/.test(rest)) throw new ValueError('takes no user name, password or key');
    return `${scheme}://${rest}`;
  },
  format: (value) => value,
};

/** None: those that the cluster tells of. */
export const mapKind: ValueKind<readonly ConfiguredMount[]> = {
  placeholder: 'PATH=URI',
  allowed: 'PATH=URI, such as /s3=s3://bucket/data, or several with commas between; or cluster',
  parse(text, dialect) {
    if (text.trim().toLowerCase() === 'cluster') return [];
    const mounts = splitList(text).map((part) => {
      const at = part.indexOf('=');
      const path = part.slice(0, Math.max(0, at)).replace(/(?<=.)\/+$/, '');
      if (!/^\/(?:[^/]+(?:\/[^/]+)*)?$/.test(path) || /\/\.{1,2}(?:\/|$)/.test(path)) {
        throw new ValueError(`"${withoutCredentials(part)}" does not begin with a path and "="`);
      }
      return { path, ufs: ufsKind.parse(part.slice(at + 1), dialect) };
    });
    if (mounts.length === 0) throw new ValueError();
    const paths = mounts.map(({ path }) => path);
    const twice = paths.find((path, index) => paths.indexOf(path) !== index);
    if (twice !== undefined) throw new ValueError(`has two mounts at ${twice}`);
    return mounts;
  },
  format: (mounts) =>
    mounts.length === 0 ? 'cluster' : mounts.map(({ path, ufs }) => `${path}=${ufs}`).join(','),
};

/** The root alone, or which is where; the same for the same mounts in any order. */
export function describeMounts(mounts: readonly ConfiguredMount[]): string {
  const [first] = mounts;
  if (mounts.length === 1 && first?.path === '/') return first.ufs;
  return mapKind.format([...mounts].sort((a, b) => (a.path < b.path ? -1 : 1)));
}

/** The same text for those to whom every path means the same: one cluster, its mounts and rules. */
export function describeNameSpace(config: MountConfig): string {
  const { membershipSource, etcdHosts, workerHosts, clusterName, mounts, pathRules } = config;
  const members = membershipSource === 'etcd' ? [...etcdHosts, clusterName] : workerHosts;
  const rules = pathRules === undefined ? [] : [pathRules];
  return JSON.stringify([describeMounts(mounts), members, ...rules]);
}
