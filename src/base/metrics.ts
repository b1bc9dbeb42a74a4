// Metrics: counters, gauges and histograms, and their rendering in the Prometheus text format
// 0.0.4. Pure: whoever records brings the numbers (durations included), whoever serves /metrics
// calls `render`. A metric is made once, at start, and kept in a field: recording looks nothing up.
//
//   const puts = registry.counter("etcd_mvcc_put_total", "Total number of puts.");
//   puts.inc();
//   const calls = registry.counterFamily("grpc_server_started_total", "...", ["grpc_method"]);
//   const rangeCalls = calls.with("Range");    // once
//   rangeCalls.inc();                           // on the hot path

import { assert } from "./assert.ts";

export type MetricKind = "counter" | "gauge" | "histogram";

/** A number that only rises. */
export class Counter {
  #value = 0;

  inc(amount = 1): void {
    this.#value += amount;
  }

  /** For a total that somebody else counts: sets it, at collection. It must never fall. */
  set(total: number): void {
    this.#value = total;
  }

  get value(): number {
    return this.#value;
  }
}

/** A number that rises and falls. */
export class Gauge {
  #value = 0;

  set(value: number): void {
    this.#value = value;
  }

  inc(amount = 1): void {
    this.#value += amount;
  }

  dec(amount = 1): void {
    this.#value -= amount;
  }

  get value(): number {
    return this.#value;
  }
}

/** Observations counted in buckets by their upper bounds. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** One count a bound and one beyond the last; not cumulative until rendered. */
  readonly #counts: number[];
  #sum = 0;
  #total = 0;

  /** `bounds` ascend; +Inf is implied. */
  constructor(bounds: readonly number[]) {
    for (let i = 1; i < bounds.length; i++) {
      assert((bounds[i - 1] as number) < (bounds[i] as number), "histogram bounds must ascend");
    }
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) {
      at++;
    }
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
    this.#total++;
  }

  get count(): number {
    return this.#total;
  }

  get sum(): number {
    return this.#sum;
  }

  get bounds(): readonly number[] {
    return this.#bounds;
  }

  /** Observations at or below each bound, +Inf last. */
  cumulative(): number[] {
    let running = 0;
    return this.#counts.map((count) => {
      running += count;
      return running;
    });
  }
}

/** `count` bounds: start, start * factor, start * factor^2 ... (Prometheus' ExponentialBuckets). */
export function exponentialBuckets(start: number, factor: number, count: number): number[] {
  const bounds: number[] = [];
  let bound = start;
  for (let i = 0; i < count; i++) {
    bounds.push(bound);
    bound *= factor;
  }
  return bounds;
}

/** Prometheus' default buckets, seconds. */
export const defaultBuckets: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

type Series = Counter | Gauge | Histogram;

/** One metric name with a series for each combination of label values. */
export class MetricFamily<S extends Series> {
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly #make: () => S;
  readonly #series = new Map<string, { readonly labels: readonly string[]; readonly series: S }>();

  constructor(
    definition: { name: string; kind: MetricKind; help: string; labelNames: readonly string[] },
    make: () => S,
  ) {
    this.name = definition.name;
    this.kind = definition.kind;
    this.help = definition.help;
    this.labelNames = definition.labelNames;
    this.#make = make;
  }

  /** The series of these label values, made at first use. Keep it where it is used often. */
  with(...labels: string[]): S {
    assert(labels.length === this.labelNames.length, () => `${this.name}: wrong number of labels`);
    const id = labels.join("\u0000");
    let entry = this.#series.get(id);
    if (entry === undefined) {
      entry = { labels, series: this.#make() };
      this.#series.set(id, entry);
    }
    return entry.series;
  }

  /** Drops every series; for label values that come and go, refilled at collection. */
  clear(): void {
    this.#series.clear();
  }

  /** Series sorted by label values, so that the text is the same whatever was recorded first. */
  entries(): { readonly labels: readonly string[]; readonly series: S }[] {
    return [...this.#series]
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([, entry]) => entry);
  }
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** All metrics of a process or a node. Registering a name twice is a programmer's error. */
export class MetricsRegistry {
  readonly #families = new Map<string, MetricFamily<Series>>();
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string): Counter {
    return this.counterFamily(name, help, []).with();
  }

  counterFamily(name: string, help: string, labelNames: readonly string[]): MetricFamily<Counter> {
    return this.#add(
      new MetricFamily({ name, kind: "counter", help, labelNames }, () => new Counter()),
    );
  }

  gauge(name: string, help: string): Gauge {
    return this.gaugeFamily(name, help, []).with();
  }

  gaugeFamily(name: string, help: string, labelNames: readonly string[]): MetricFamily<Gauge> {
    return this.#add(
      new MetricFamily({ name, kind: "gauge", help, labelNames }, () => new Gauge()),
    );
  }

  histogram(name: string, help: string, bounds: readonly number[] = defaultBuckets): Histogram {
    return this.histogramFamily(name, help, [], bounds).with();
  }

  histogramFamily(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[] = defaultBuckets,
  ): MetricFamily<Histogram> {
    return this.#add(
      new MetricFamily({ name, kind: "histogram", help, labelNames }, () => new Histogram(bounds)),
    );
  }

  /** Runs before each rendering, to set what is cheaper to look up than to keep counted. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** The text of all metrics, sorted by name. */
  render(): string {
    for (const collect of this.#collectors) {
      collect();
    }
    const lines: string[] = [];
    for (const name of [...this.#families.keys()].sort()) {
      const family = this.#families.get(name);
      if (family !== undefined) {
        renderFamily(family, lines);
      }
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  #add<S extends Series>(family: MetricFamily<S>): MetricFamily<S> {
    assert(metricName.test(family.name), () => `not a metric name: ${family.name}`);
    assert(!this.#families.has(family.name), () => `metric registered twice: ${family.name}`);
    this.#families.set(family.name, family);
    return family;
  }
}

function renderFamily(family: MetricFamily<Series>, lines: string[]): void {
  const entries = family.entries();
  if (entries.length === 0) {
    return;
  }
  const { name, labelNames } = family;
  lines.push(`# HELP ${name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
  lines.push(`# TYPE ${name} ${family.kind}`);
  for (const { labels, series } of entries) {
    const pairs = labelNames.map((label, i) => labelPair(label, labels[i] ?? ""));
    if (!(series instanceof Histogram)) {
      lines.push(`${name}${labelSet(pairs)} ${formatNumber(series.value)}`);
      continue;
    }
    const counts = series.cumulative();
    for (let i = 0; i < counts.length; i++) {
      const bound = series.bounds[i] ?? Number.POSITIVE_INFINITY;
      const all = labelSet([...pairs, labelPair("le", formatNumber(bound))]);
      lines.push(`${name}_bucket${all} ${counts[i] as number}`);
    }
    lines.push(`${name}_sum${labelSet(pairs)} ${formatNumber(series.sum)}`);
    lines.push(`${name}_count${labelSet(pairs)} ${series.count}`);
  }
}

function labelSet(pairs: readonly string[]): string {
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function labelPair(label: string, value: string): string {
  const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `${label}="${escaped}"`;
}

function formatNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) {
    return "+Inf";
  }
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
