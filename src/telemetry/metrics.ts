import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { MetricType } from 'prom-client';
import { METRICS } from './metrics-table.ts';
import type {
  CounterKey,
  GaugeKey,
  HistogramKey,
  LabelsOf,
  MetricDefinition,
  MetricKey,
} from './metrics-table.ts';

/** One labelled value read at scrape time. */
export interface Sample<K extends MetricKey> {
  readonly labels: LabelsOf<K>;
  readonly value: number;
}

/** One labelled histogram counted elsewhere; buckets are not cumulative, the last takes the rest. */
export interface HistogramSample<K extends MetricKey> {
  readonly labels: LabelsOf<K>;
  readonly sum: number;
  readonly buckets: readonly number[];
}

/** A histogram whose observations live elsewhere (shared memory of the kernel thread). */
class ExternalHistogram extends Histogram {
  readonly #definition: MetricDefinition;
  readonly #read: () => readonly HistogramSample<MetricKey>[];

  constructor(definition: MetricDefinition, read: () => readonly HistogramSample<MetricKey>[]) {
    super({ ...configurationOf(definition), registers: [] });
    this.#definition = definition;
    this.#read = read;
  }

  override get(): ReturnType<Histogram['get']> {
    const { name, help, buckets = [] } = this.#definition;
    const values: Awaited<ReturnType<Histogram['get']>>['values'] = [];
    for (const sample of this.#read()) {
      const labels: Record<string, string> = sample.labels;
      let total = 0;
      sample.buckets.forEach((count, index) => {
        total += count;
        const le = buckets[index] ?? '+Inf';
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
      });
      values.push({ metricName: `${name}_sum`, labels, value: sample.sum });
      // Added up from the buckets: the writer goes on counting while this is read, and a histogram
      // whose count differs from its last bucket is refused by some scrapers.
      values.push({ metricName: `${name}_count`, labels, value: total });
    }
    return Promise.resolve({
      name,
      help,
      // The declared enum does not exist at run time; the string does.
      type: 'histogram' as unknown as MetricType,
      aggregator: 'sum' as const,
      collect: () => undefined,
      values,
    });
  }

  /** What the registry calls for the text format. */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }
}

function configurationOf(definition: MetricDefinition): {
  name: string;
  help: string;
  labelNames: string[];
  buckets: number[];
} {
  return {
    name: definition.name,
    help: definition.help,
    labelNames: [...definition.labels],
    buckets: [...(definition.buckets ?? [])],
  };
}

/**
 * Between looks at how late the event loop is: each wakes the daemon, which should sleep while nobody uses the
 * mount. The figures of the lag are of so long pauses, so that much is none.
 */
const LAG_PRECISION_MS = 2000;

/**
 * The registry of one process with every metric of the table in it. Counting is by key of the
 * table, so that a metric cannot be counted that is not described there. A metric that nobody feeds
 * shows 0 (without labels) or nothing (with labels).
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<MetricKey, Counter>();
  readonly #gauges = new Map<MetricKey, Gauge>();
  readonly #histograms = new Map<MetricKey, Histogram>();

  constructor() {
    const registers = [this.#registry];
    for (const [key, definition] of Object.entries(METRICS) as [MetricKey, MetricDefinition][]) {
      const { buckets, ...common } = configurationOf(definition);
      if (definition.type === 'counter') {
        this.#counters.set(key, new Counter({ ...common, registers }));
      } else if (definition.type === 'gauge') {
        this.#gauges.set(key, new Gauge({ ...common, registers }));
      } else {
        this.#histograms.set(key, new Histogram({ ...common, buckets, registers }));
      }
    }
  }

  /** Adds `process_*` and `nodejs_*` as prom-client defines them; once, and only in a daemon. */
  collectProcessFigures(): void {
    const eventLoopMonitoringPrecision = LAG_PRECISION_MS;
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision });
  }

  count<K extends CounterKey>(key: K, labels: LabelsOf<K>, amount = 1): void {
    this.#counter(key).inc(labels, amount);
  }

  set<K extends GaugeKey>(key: K, labels: LabelsOf<K>, value: number): void {
    this.#gauge(key).set(labels, value);
  }

  observe<K extends HistogramKey>(key: K, labels: LabelsOf<K>, value: number): void {
    this.#histogram(key).observe(labels, value);
  }

  /** From now on the value of the metric is what `read` says when somebody asks. */
  readAtScrape<K extends CounterKey | GaugeKey>(key: K, read: () => readonly Sample<K>[]): void {
    const definition: MetricDefinition = METRICS[key];
    const { buckets: _, ...common } = configurationOf(definition);
    this.#registry.removeSingleMetric(definition.name);
    const registers = [this.#registry];
    if (definition.type === 'counter') {
      const counter = new Counter({
        ...common,
        registers,
        collect: () => {
          counter.reset();
          for (const { labels, value } of read()) counter.inc(labels, value);
        },
      });
      this.#counters.set(key, counter);
    } else {
      const gauge = new Gauge({
        ...common,
        registers,
        collect: () => {
          gauge.reset();
          const samples = read();
          // A reset leaves a 0 where there are no labels; unknown is not 0.
          if (samples.length === 0 && common.labelNames.length === 0) gauge.remove();
          for (const { labels, value } of samples) gauge.set(labels, value);
        },
      });
      this.#gauges.set(key, gauge);
    }
  }

  readHistogramAtScrape<K extends HistogramKey>(
    key: K,
    read: () => readonly HistogramSample<K>[],
  ): void {
    this.#registry.removeSingleMetric(METRICS[key].name);
    const histogram = new ExternalHistogram(
      METRICS[key],
      read as () => readonly HistogramSample<MetricKey>[],
    );
    this.#registry.registerMetric(histogram);
    this.#histograms.set(key, histogram);
  }

  /** Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #counter(key: CounterKey): Counter {
    return this.#counters.get(key) as Counter;
  }

  #gauge(key: GaugeKey): Gauge {
    return this.#gauges.get(key) as Gauge;
  }

  #histogram(key: HistogramKey): Histogram {
    return this.#histograms.get(key) as Histogram;
  }
}
