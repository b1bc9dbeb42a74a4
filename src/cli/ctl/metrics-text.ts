// What /metrics says (the text format of Prometheus), as numbers.

export interface Histogram {
  /** Upper bounds, ascending, the last one infinite, and how many values were at most that. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

const samplePattern = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const labelPattern = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export class Metrics {
  readonly #samples = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const match = line.startsWith("#") ? null : samplePattern.exec(line);
      if (match !== null) {
        const [, name = "", labels = "", value = ""] = match;
        const sample = { labels: parseLabels(labels), value: numberOf(value) };
        const others = this.#samples.get(name);
        if (others === undefined) {
          this.#samples.set(name, [sample]);
        } else {
          others.push(sample);
        }
      }
    }
  }

  /** The sum over all labels that `select` takes; undefined where there is no such metric. */
  sum(name: string, select: (labels: Labels) => boolean = () => true): number | undefined {
    const chosen = this.#samples.get(name)?.filter(({ labels }) => select(labels));
    return chosen === undefined || chosen.length === 0
      ? undefined
      : chosen.reduce((total, { value }) => total + value, 0);
  }

  label(name: string, label: string): string | undefined {
    return this.#samples.get(name)?.[0]?.labels[label];
  }

  histogram(name: string, select: (labels: Labels) => boolean = () => true): Histogram | undefined {
    const byBound = new Map<number, number>();
    for (const { labels, value } of this.#samples.get(`${name}_bucket`) ?? []) {
      if (select(labels)) {
        const bound = numberOf(labels["le"] ?? "");
        byBound.set(bound, (byBound.get(bound) ?? 0) + value);
      }
    }
    const bounds = [...byBound.keys()].sort((a, b) => a - b);
    return bounds.length === 0
      ? undefined
      : { bounds, counts: bounds.map((bound) => byBound.get(bound) ?? 0) };
  }
}

function parseLabels(text: string): Labels {
  const labels: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(labelPattern)) {
    labels[name] = value.replaceAll(/\\(.)/g, (_, sign: string) => (sign === "n" ? "\n" : sign));
  }
  return labels;
}

function numberOf(text: string): number {
  return text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text);
}

/** What came between two readings; all of `after` where there is no `before`. */
export function histogramBetween(
  before: Histogram | undefined,
  after: Histogram | undefined,
): Histogram | undefined {
  if (before === undefined || after === undefined) {
    return after;
  }
  const counts = after.counts.map((count, at) => Math.max(0, count - (before.counts[at] ?? 0)));
  return { bounds: after.bounds, counts };
}

/** As Prometheus estimates it: evenly within a bucket. Undefined where there is no value. */
export function quantile(histogram: Histogram | undefined, share: number): number | undefined {
  const total = histogram?.counts.at(-1) ?? 0;
  if (histogram === undefined || total === 0) {
    return undefined;
  }
  const { bounds, counts } = histogram;
  const wanted = share * total;
  const at = counts.findIndex((count) => count >= wanted);
  const upper = bounds[at] ?? 0;
  const lower = bounds[at - 1] ?? 0;
  if (!Number.isFinite(upper)) {
    return lower;
  }
  const below = counts[at - 1] ?? 0;
  const within = (counts[at] ?? 0) - below;
  return within === 0 ? upper : lower + ((upper - lower) * (wanted - below)) / within;
}
