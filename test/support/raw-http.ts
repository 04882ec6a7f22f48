/**
 * HTTP on a bare socket: says exactly what came over the wire, including nothing at all, bytes
 * without a head, and who closed when. No HTTP client would tell these.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** Loopback answers in milliseconds; this is for machines that are busy with other tests. */
const DEADLINE_MS = 20_000;

export interface RawResponse {
  /** `200 OK`. */
  readonly status: string;
  /** In order and case as sent. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  header(name: string): string | undefined;
}

export class RawConnection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const closed = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    socket.on('end', closed);
    socket.on('close', closed);
    socket.on('error', closed);
  }

  static async open(host: string, port: number): Promise<RawConnection> {
    const socket = connect({ host, port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawConnection(socket);
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Undefined: the connection was closed without a byte. */
  async response(method = 'GET'): Promise<RawResponse | undefined> {
    let headEnd = -1;
    await this.#until('a response head', () => {
      headEnd = this.#received.indexOf('\r\n\r\n');
      return headEnd >= 0 || this.#isClosed;
    });
    if (headEnd < 0) {
      if (this.#received.length > 0) throw new Error(`No head: ${this.#received.toString()}`);
      return undefined;
    }
    const [statusLine = '', ...lines] = this.#received.toString('latin1', 0, headEnd).split('\r\n');
    this.#received = this.#received.subarray(headEnd + 4);
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const header = (name: string): string | undefined =>
      headers.find(([found]) => found.toLowerCase() === name.toLowerCase())?.[1];
    const length = method === 'HEAD' ? 0 : Number(header('content-length') ?? 0);
    return { status: statusLine.slice(9), headers, body: await this.bytes(length), header };
  }

  async bytes(count: number): Promise<Buffer> {
    await this.#until(`${count} bytes`, () => this.#received.length >= count || this.#isClosed);
    if (this.#received.length < count) {
      throw new Error(`Closed after ${this.#received.length} of ${count} bytes`);
    }
    const bytes = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return bytes;
  }

  /** Resolves when the server has closed, with what it sent that nobody took. */
  async closed(): Promise<Buffer> {
    await this.#until('the server to close', () => this.#isClosed);
    return this.#received;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #until(what: string, isDone: () => boolean): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (!isDone()) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`Timed out waiting for ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

export interface RawRequest {
  readonly host: string;
  readonly port: number;
  readonly method?: string;
  /** One char a byte, sent as it is. */
  readonly target: string;
  readonly headers?: readonly string[];
  readonly body?: Buffer;
}

export function requestBytes(request: Omit<RawRequest, 'host' | 'port'>): Buffer {
  const { method = 'GET', target, headers = [], body } = request;
  const length = body === undefined ? [] : [`Content-Length: ${body.length}`];
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: test', ...length, ...headers, '', ''];
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body ?? Buffer.alloc(0)]);
}

/** One request on a connection of its own. */
export async function exchange(
  request: RawRequest,
): Promise<{ response: RawResponse | undefined; connection: RawConnection }> {
  const connection = await RawConnection.open(request.host, request.port);
  connection.send(requestBytes(request));
  try {
    return { response: await connection.response(request.method), connection };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}
