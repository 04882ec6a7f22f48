/** Rows of the table of options about etcd. */
import { etcdHostsKind } from './hosts.ts';
import type { OptionTable } from './options.ts';
import { pathKind, portKind, textKind } from './values.ts';

export const etcdOptions: Pick<
  OptionTable,
  | 'etcdHosts'
  | 'etcdPort'
  | 'etcdUsername'
  | 'etcdPassword'
  | 'etcdPasswordFile'
  | 'etcdCaFile'
  | 'etcdCertFile'
  | 'etcdKeyFile'
> = {
  etcdHosts: {
    key: 'etcd-hosts',
    group: 'Cluster',
    kind: etcdHostsKind,
    isRepeatable: true,
    properties: ['alluxio.etcd.endpoints'],
    fallback: () => undefined,
    defaultText: 'none; this or `--worker-hosts` is required',
    doc: 'The etcd servers in which the workers of the cluster register.',
  },
  etcdPort: {
    key: 'etcd-port',
    group: 'Cluster',
    kind: portKind,
    fallback: () => 2379,
    doc: 'Port for the etcd hosts that are given without one.',
  },
  etcdUsername: {
    key: 'etcd-username',
    group: 'Cluster',
    kind: textKind({ placeholder: 'NAME', allowed: 'a name', pattern: /^[^\n]+$/ }),
    properties: ['alluxio.etcd.username'],
    fallback: () => undefined,
    defaultText: 'none',
    doc: 'User for etcd; needs a password.',
  },
  etcdPassword: {
    key: 'etcd-password',
    group: 'Cluster',
    kind: textKind({ placeholder: 'SECRET', allowed: 'a password', pattern: /^[^\n]+$/ }),
    properties: ['alluxio.etcd.password'],
    fallback: () => undefined,
    defaultText: 'none',
    isSecret: true,
    doc: 'Password for etcd. Not accepted on a command line or with -o, where every user of the machine could read it: use the environment, a file, or `--etcd-password-file`.',
  },
  etcdPasswordFile: {
    key: 'etcd-password-file',
    group: 'Cluster',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'File whose first line is the password for etcd.',
  },
  etcdCaFile: {
    key: 'etcd-ca-file',
    group: 'Cluster',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'PEM file with the authority that signed the certificates of the etcd servers. Makes hosts without a scheme https.',
  },
  etcdCertFile: {
    key: 'etcd-cert-file',
    group: 'Cluster',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'PEM file with the client certificate for etcd; needs `--etcd-ca-file` and `--etcd-key-file`.',
  },
  etcdKeyFile: {
    key: 'etcd-key-file',
    group: 'Cluster',
    kind: pathKind,
    fallback: () => undefined,
    defaultText: 'none',
    isPath: true,
    doc: 'PEM file with the key of the client certificate for etcd.',
  },
};
