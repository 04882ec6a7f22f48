/**
 * What the mount says about itself: log lines, metrics, health. Nothing here decides anything; the
 * other layers know `Logger` of base and their own event interfaces, and the daemon joins them to
 * this folder. pino and prom-client stay inside it.
 */
export { createLogger } from './logger.ts';
export type { LoggerOptions, ProcessLogger } from './logger.ts';
export { LimitedLogger } from './limited-logger.ts';
export type { LimitedLoggerOptions, LogKey } from './limited-logger.ts';
export { METRICS } from './metrics-table.ts';
export type { MetricDefinition, MetricKey } from './metrics-table.ts';
export { Metrics } from './metrics.ts';
export { clusterEventsFor, registerClusterStatus } from './cluster-metrics.ts';
export { registerKernelFigures } from './kernel-metrics.ts';
export type { KernelFigures } from './kernel-metrics.ts';
export { HeartbeatWatch } from './heartbeat.ts';
export { startTelemetryServer } from './http-server.ts';
export type { HealthCheck, HealthReport, TelemetryServer } from './http-server.ts';
