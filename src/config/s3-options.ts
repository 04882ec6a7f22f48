/** Rows of the table of options about under stores that speak S3. */
import type { OptionTable } from './options.ts';
import { booleanKind, parseBoolean, textKind, ValueError, type ValueKind } from './values.ts';

const pathStyleKind: ValueKind<'auto' | 'on' | 'off'> = {
  placeholder: 'auto|on|off',
  allowed: 'auto, on (or true) or off (or false)',
  parse(text) {
    if (text.trim().toLowerCase() === 'auto') return 'auto';
    return parseBoolean(text) ? 'on' : 'off';
  },
  format: (value) => value,
};

const endpointKind: ValueKind<string> = {
  placeholder: 'URL',
  allowed: 'a URL such as https://minio:9000; without a scheme it is https',
  parse(text) {
    // Alluxio's property takes a bare host.
    const written = /^https?:\/\//i.test(text) ? text : `https://${text}`;
    if (!/^https?:\/\/[^\s/?#@]+\/?$/i.test(written) || !URL.canParse(written)) {
      throw new ValueError();
    }
    return new URL(written).origin;
  },
  format: (value) => value,
};

const wordKind = (what: string): ValueKind<string> =>
  textKind({ placeholder: 'NAME', allowed: what, pattern: /^[^\s/,\\]+$/ });

type S3Field = 's3Endpoint' | 's3Region' | 's3PathStyle' | 's3Anonymous' | 's3Profile';

export const s3Options: Pick<OptionTable, S3Field> = {
  s3Endpoint: {
    key: 's3-endpoint',
    group: 'Under store',
    kind: endpointKind,
    properties: ['alluxio.underfs.s3.endpoint'],
    fallback: () => undefined,
    defaultText: 'AWS, or what the scheme of --ufs means',
    doc: 'Address of the object store below the cluster, where it is not the one that the scheme means: MinIO, Ceph, a private endpoint. For every scheme that is spoken to as S3.',
  },
  s3Region: {
    key: 's3-region',
    group: 'Under store',
    kind: wordKind('a region such as eu-central-1'),
    properties: ['alluxio.underfs.s3.region', 'alluxio.underfs.s3.endpoint.region'],
    fallback: () => undefined,
    defaultText: 'AWS_REGION or the profile',
    doc: 'Region of the object store: requests are signed for it, and OSS and COS have their address from it.',
  },
  s3PathStyle: {
    key: 's3-path-style',
    group: 'Under store',
    kind: pathStyleKind,
    properties: ['alluxio.underfs.s3.disable.dns.buckets'],
    fallback: () => 'auto',
    doc: 'Whether the bucket is the first part of the path instead of a part of the host name. auto: on where --s3-endpoint names a server of one’s own, off for AWS, OSS and COS.',
  },
  s3Anonymous: {
    key: 's3-anonymous',
    group: 'Under store',
    kind: booleanKind,
    fallback: () => false,
    doc: 'Send unsigned requests to the object store, as public buckets take them.',
  },
  s3Profile: {
    key: 's3-profile',
    group: 'Under store',
    kind: wordKind('the name of a profile'),
    fallback: () => undefined,
    defaultText: 'AWS_PROFILE, or none',
    doc: 'Profile of ~/.aws/config and ~/.aws/credentials for the object store. Without one, credentials are looked for as AWS has it: in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the default profile, a web identity token (IRSA), and the role of the container or machine.',
  },
};
