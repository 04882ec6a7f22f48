/** What the contract suite runs against, and the small talk with it. */
import { rm } from 'node:fs/promises';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { byteStringOfText } from '../../src/base/byte-string.ts';
import { Ring } from '../../src/cluster/ring.ts';
import type { DevclusterInfo } from '../../src/devcluster/index.ts';
import type { RawRequest, RawResponse } from '../support/raw-http.ts';
import { exchange } from '../support/raw-http.ts';
import type { Cleanup } from '../support/temp-dir.ts';

export interface ContractTarget {
  readonly info: DevclusterInfo;
  /** The under store's directory, on this machine. */
  readonly dataDir: string;
  readonly virtualNodes: number;
}

/**
 * `close`: the server closed after its answer. `open`: it did not close, as a further request on
 * the connection shows where a test needs that.
 */
export interface Reply extends RawResponse {
  readonly worker: number;
}

const TRIES = 5;

export class Contract {
  readonly target: ContractTarget;
  /** A bucket of this run alone: nothing in it is in any worker's caches. */
  readonly bucket: string;
  readonly dir: string;

  private constructor(target: ContractTarget, dir: string) {
    this.target = target;
    this.dir = dir;
    this.bucket = dir.slice(dir.lastIndexOf('/') + 1);
  }

  static async make(target: ContractTarget, cleanup: Cleanup): Promise<Contract> {
    const dir = await mkdtemp(join(target.dataDir, 'contract-'));
    cleanup(() => rm(dir, { recursive: true, force: true }));
    return new Contract(target, dir);
  }

  /** Alluxio path of a path in the bucket, written plainly. */
  path(path: string): string {
    return `/${this.bucket}/${path}`;
  }

  ufs(path: string): string {
    return `${this.target.info.ufs}/${this.bucket}/${path}`;
  }

  /** Key as the S3 port must get it: encoded twice. */
  key(path: string): string {
    const once = path.split('/').map(encodeURIComponent).join('/');
    return `/${this.bucket}/${once.split('/').map(encodeURIComponent).join('/')}`;
  }

  worker(index: number): DevclusterInfo['workers'][number] {
    const worker = this.target.info.workers[index];
    if (worker === undefined) throw new Error(`No worker ${index}`);
    return worker;
  }

  ownerIndex(path: string): number {
    const { workers } = this.target.info;
    const members = workers.map((worker) => ({
      ...worker,
      identifier: worker.id.replace('worker-', '').replaceAll('-', ''),
      version: 1,
    }));
    const ring = new Ring(members, { virtualNodes: this.target.virtualNodes });
    const owner = ring.ownerOf(byteStringOfText(this.ufs(path)));
    return workers.findIndex((worker) => worker.id === owner?.id);
  }

  httpRequest(target: string, more: Partial<RawRequest> = {}, index = 0): RawRequest {
    const { host, httpPort } = this.worker(index);
    return { host, port: httpPort, target, ...more };
  }

  s3Request(target: string, more: Partial<RawRequest> = {}, index = 0): RawRequest {
    const { host, s3Port } = this.worker(index);
    return { host, port: s3Port, target, ...more };
  }

  /** The answer of the HTTP port; undefined when it closed instead. */
  async http(
    target: string,
    more: Partial<RawRequest> = {},
    index = 0,
  ): Promise<RawResponse | undefined> {
    return await this.once(this.httpRequest(target, more, index));
  }

  /** The answer of one S3 port; never follows a redirect. */
  async s3(target: string, more: Partial<RawRequest> = {}, index = 0): Promise<RawResponse> {
    return mustAnswer(target, await this.once(this.s3Request(target, more, index)));
  }

  /** GET at whichever worker does not redirect. */
  async s3Owner(target: string, more: Partial<RawRequest> = {}): Promise<Reply> {
    for (let worker = 0; worker < this.target.info.workers.length; worker += 1) {
      const reply = await this.s3(target, more, worker);
      if (!reply.status.startsWith('307')) return { ...reply, worker };
    }
    throw new Error(`Every worker redirects: ${target}`);
  }

  /** The first answer, of whichever worker gives one: this one first, then the next. */
  async s3Anywhere(target: string, more: Partial<RawRequest>, from = 0): Promise<RawResponse> {
    const { workers } = this.target.info;
    const at = (turn: number): RawRequest =>
      this.s3Request(target, more, (from + turn) % workers.length);
    return mustAnswer(target, await this.#answer(at, TRIES * workers.length));
  }

  once(request: RawRequest): Promise<RawResponse | undefined> {
    return this.#answer(() => request, TRIES);
  }

  /** Asks again where a real worker says nothing at all, as they do now and then; an answer counts. */
  async #answer(
    requestOf: (turn: number) => RawRequest,
    turns: number,
  ): Promise<RawResponse | undefined> {
    for (let turn = 0; ; turn += 1) {
      try {
        const { response, connection } = await exchange(requestOf(turn));
        connection.destroy();
        return response;
      } catch (error) {
        const isSilent = error instanceof Error && error.message.startsWith('Timed out');
        if (!isSilent || turn + 1 === turns) throw error;
      }
    }
  }
}

function mustAnswer(target: string, response: RawResponse | undefined): RawResponse {
  if (response === undefined) throw new Error(`S3 port closed without an answer: ${target}`);
  return response;
}
