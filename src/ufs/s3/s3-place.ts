/**
 * Where an object store is and how it is spoken to. All of them through their S3 face: what differs
 * is the address, the region that requests are signed for, and whether the bucket is a part of the
 * host name.
 */
import { textOfByteString, type ByteString } from '../../base/byte-string.ts';
import { ClusterError } from '../../cluster/types.ts';

/** What is left out comes from the environment, the profile or the machine's role, as AWS has it. */
export interface S3Options {
  /** `https://host:port`; needed where the scheme does not tell it. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** The bucket as first part of the path instead of the host name. */
  readonly pathStyle?: boolean | undefined;
  /** Unsigned requests, for public buckets. */
  readonly anonymous?: boolean | undefined;
  /** Of ~/.aws/config and ~/.aws/credentials. */
  readonly profile?: string | undefined;
  readonly credentials?: S3Credentials | undefined;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** One bucket of one server, and the place in it. */
export interface S3Place {
  readonly bucket: string;
  /** '' or ends with a slash. */
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly pathStyle: boolean;
}

interface Kind {
  /** Undefined: AWS itself, or one that must be given. */
  readonly endpoint?: (region: string | undefined) => string | undefined;
  readonly region?: string;
  readonly pathStyle?: boolean;
  /** What to give where the scheme alone does not tell the address. */
  readonly needs?: string;
}

const aws: Kind = {};
const oss: Kind = {
  // Path style is refused there.
  endpoint: (region) => region && `https://s3.oss-${region.replace(/^oss-/, '')}.aliyuncs.com`,
  needs:
    'a region such as cn-hangzhou, or an endpoint such as https://s3.oss-cn-hangzhou.aliyuncs.com',
};
const cos: Kind = {
  endpoint: (region) => region && `https://cos.${region}.myqcloud.com`,
  needs:
    'a region such as ap-guangzhou, or an endpoint such as https://cos.ap-guangzhou.myqcloud.com',
};
const gcs: Kind = {
  endpoint: () => 'https://storage.googleapis.com',
  region: 'auto',
  pathStyle: true,
};
const minio: Kind = { pathStyle: true, needs: 'an endpoint such as http://minio:9000' };

const kinds: ReadonlyMap<string, Kind> = new Map([
  ['s3', aws],
  ['s3a', aws],
  ['s3n', aws],
  ['oss', oss],
  ['cos', cos],
  ['cosn', cos],
  ['gs', gcs],
  ['gcs', gcs],
  ['minio', minio],
]);

export function isS3Scheme(scheme: string): boolean {
  return kinds.has(scheme);
}

/** `root` without a slash at its end, such as `s3://bucket/dir`. */
export function placeOf(root: ByteString, options: S3Options): S3Place {
  const [, scheme = '', bucket = '', path = ''] =
    /^([^:/]+):\/\/([^/]+)(.*)$/s.exec(textOfByteString(root) ?? '') ?? [];
  const kind = kinds.get(scheme.toLowerCase());
  if (kind === undefined || bucket === '') {
    throw new ClusterError('invalid', 'Not a bucket: it is like s3://bucket/dir', { path: root });
  }
  // What AWS calls it; the SDK would read the one for profiles and roles alone.
  const region = options.region ?? kind.region;
  const endpoint = options.endpoint ?? kind.endpoint?.(region);
  if (kind.needs !== undefined && endpoint === undefined) {
    throw new ClusterError('invalid', `${scheme}:// needs ${kind.needs}`, { path: root });
  }
  const prefix = path.replace(/^\/+|\/+$/g, '');
  return {
    bucket,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint,
    // Servers that are not AWS take any region; requests are signed for one all the same.
    region: region ?? (endpoint === undefined ? undefined : 'us-east-1'),
    // A server of one's own seldom has a host name for each bucket.
    pathStyle: options.pathStyle ?? kind.pathStyle ?? (kind === aws && endpoint !== undefined),
  };
}
