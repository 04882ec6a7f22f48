/**
 * `/metrics`, `/health` and `/ready`, for Prometheus, Kubernetes and people with curl. No
 * authentication: hence loopback unless the administrator says otherwise, nothing but GET, and
 * nothing in the answers that is secret.
 */
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { Logger } from '../base/logger.ts';

export interface HealthReport {
  readonly ok: boolean;
  /** For people: what was looked at and what was found. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export type HealthCheck = () => HealthReport | Promise<HealthReport>;

export interface TelemetryServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  /** The process lives and the kernel thread answers. Failing it means: restart me. */
  readonly health: HealthCheck;
  /** The mount answers and there is somebody to read from. Failing it means: send no work. */
  readonly ready: HealthCheck;
  readonly logger: Logger;
  /** Kubernetes gives a probe one second unless told otherwise; Prometheus gives a scrape ten. */
  readonly deadlineMs?: number;
}

export interface TelemetryServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A scraper or two, the probes and a person: more than this is a mistake or an attack. */
const CONNECTIONS_MAX = 32;
const HEADERS_BYTES_MAX = 8 * 1024;

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/**
 * Undefined, with a warning in the log, where the port cannot be had: a second mount on the machine
 * must not fail for want of a metrics port.
 */
export async function startTelemetryServer(
  options: TelemetryServerOptions,
): Promise<TelemetryServer | undefined> {
  const deadlineMs = options.deadlineMs ?? 5000;
  const pages = new Map<string, () => Promise<Answer>>([
    ['/metrics', () => metricsPage(options)],
    ['/health', () => checkPage(options.health)],
    ['/ready', () => checkPage(options.ready)],
  ]);
  const server = createServer(
    {
      headersTimeout: deadlineMs,
      requestTimeout: deadlineMs,
      // How often the limits above are looked at, which wakes the daemon; Node's own 30 s would stretch them
      // to that.
      connectionsCheckingInterval: deadlineMs,
      keepAliveTimeout: deadlineMs,
      maxHeaderSize: HEADERS_BYTES_MAX,
    },
    (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const page = pages.get(path);
      if (page === undefined) {
        reply(response, text(404, `Not found: ask for ${[...pages.keys()].join(', ')}`));
      } else if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD');
        reply(response, text(405, 'Only GET and HEAD'));
      } else {
        void withDeadline(page, deadlineMs).then((answer) => reply(response, answer));
      }
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  try {
    await listen(server, options.host, options.port);
  } catch (error) {
    options.logger.warn(
      { host: options.host, port: options.port, error },
      'Metrics and health are off: the address cannot be had. Choose another with --metrics-host and --metrics-port',
    );
    return undefined;
  }
  const address = server.address();
  return {
    host: options.host,
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () => close(server),
  };
}

async function metricsPage({ metrics }: TelemetryServerOptions): Promise<Answer> {
  return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
}

async function checkPage(check: HealthCheck): Promise<Answer> {
  const { ok, detail } = await check();
  return {
    status: ok ? 200 : 503,
    contentType: 'application/json',
    body: `${JSON.stringify({ ok, ...detail })}\n`,
  };
}

/** Never rejects: whatever goes wrong is an answer. */
async function withDeadline(page: () => Promise<Answer>, deadlineMs: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve(text(503, `No answer within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([page(), late]);
  } catch (error) {
    return text(500, error instanceof Error ? error.message : 'Failed');
  } finally {
    clearTimeout(timer);
  }
}

function text(status: number, line: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}

function reply(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  // Node leaves the body out by itself when it answers HEAD.
  response.end(body);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      // From here on an error is one of a single connection; the server stays.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
