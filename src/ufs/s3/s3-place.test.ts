import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteStringOfText } from '../../base/byte-string.ts';
import { silentLogger } from '../../base/logger.ts';
import { ClusterError } from '../../cluster/types.ts';
import { parseUfsRoot } from '../../cluster/ufs-path.ts';
import { createUnderStore } from '../create.ts';
import { placeOf, type S3Options } from './s3-place.ts';

const place = (root: string, options: S3Options = {}) => placeOf(byteStringOfText(root), options);

test('the scheme tells where an object store is', () => {
  const rows: readonly (readonly [
    string,
    S3Options,
    string | undefined,
    string | undefined,
    boolean,
  ])[] = [
    ['s3://b', {}, undefined, undefined, false],
    ['s3a://b', { region: 'eu-central-1' }, undefined, 'eu-central-1', false],
    ['s3://b', { endpoint: 'http://ceph:7480' }, 'http://ceph:7480', 'us-east-1', true],
    ['s3://b', { endpoint: 'http://ceph', pathStyle: false }, 'http://ceph', 'us-east-1', false],
    ['minio://b', { endpoint: 'http://m:9000' }, 'http://m:9000', 'us-east-1', true],
    [
      'oss://b',
      { region: 'cn-hangzhou' },
      'https://s3.oss-cn-hangzhou.aliyuncs.com',
      'cn-hangzhou',
      false,
    ],
    [
      'cos://b-1',
      { region: 'ap-guangzhou' },
      'https://cos.ap-guangzhou.myqcloud.com',
      'ap-guangzhou',
      false,
    ],
    ['gs://b', {}, 'https://storage.googleapis.com', 'auto', true],
  ];
  for (const [root, options, endpoint, region, pathStyle] of rows) {
    const { bucket, prefix, ...where } = place(root, options);
    assert.deepEqual(where, { endpoint, region, pathStyle }, root);
    assert.equal(prefix, '');
    assert.match(bucket, /^b/);
  }
});

test('the directory of the bucket is put before every key', () => {
  assert.deepEqual([place('s3://b/a/é').bucket, place('s3://b/a/é').prefix], ['b', 'a/é/']);
});

test('what the scheme does not tell is asked for, and stops no mount', () => {
  for (const root of ['oss://b', 'cos://b', 'minio://b']) {
    assert.throws(
      () => place(root),
      (error) => error instanceof ClusterError && /needs an? |needs a region/.test(error.message),
      root,
    );
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (fields: unknown) => void warnings.push(fields) };
    assert.equal(createUnderStore(parseUfsRoot(root), {}, logger), undefined);
    assert.match(JSON.stringify(warnings), /needs/);
  }
  assert.equal(createUnderStore(parseUfsRoot('ftp://h/x'), {}, silentLogger), undefined);
});
