/**
 * A TCP server that answers byte for byte what a test says, so that each way in which a real worker
 * strays from HTTP can be replayed.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface ScriptedRequest {
  readonly method: string;
  readonly target: string;
  /** The whole head. */
  readonly head: string;
  /** Counted from 0, over all connections. */
  readonly connection: number;
  /** Counted from 0 on its connection. */
  readonly index: number;
}

export type Script = (request: ScriptedRequest, socket: Socket) => void;

export class ScriptedServer {
  readonly requests: ScriptedRequest[] = [];
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(script: Script) {
    this.#server = createServer((socket) => {
      const connection = this.connections;
      this.connections += 1;
      this.#sockets.add(socket);
      let index = 0;
      let received = '';
      // A client that hangs up is what many tests are about.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        for (;;) {
          const end = received.indexOf('\r\n\r\n');
          if (end < 0) return;
          const head = received.slice(0, end);
          received = received.slice(end + 4);
          const [method = '', target = ''] = head.split(' ');
          const request = { method, target, head, connection, index };
          index += 1;
          this.requests.push(request);
          script(request, socket);
        }
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** A response with a right Content-Length, unless `headers` give one. */
export function respond(
  socket: Socket,
  status: string,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const all = { 'content-length': String(bytes.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`), bytes]));
}
