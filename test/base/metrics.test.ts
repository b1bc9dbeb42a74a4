import { expect, test } from "vitest";
import { exponentialBuckets, MetricsRegistry } from "../../src/base/metrics.ts";

test("renders the text format, sorted by name and labels", () => {
  const registry = new MetricsRegistry();
  const calls = registry.counterFamily("calls_total", "Calls.", ["method", "code"]);
  const open = registry.gauge("a_open", "Open things\nnow \\ here.");
  calls.with("Put", "OK").inc();
  calls.with("Get", "OK").inc(3);
  calls.with('say "hi"\n', "a\\b").inc();
  open.inc(5);
  open.dec(2);
  expect(registry.render()).toBe(
    [
      "# HELP a_open Open things\\nnow \\\\ here.",
      "# TYPE a_open gauge",
      "a_open 3",
      "# HELP calls_total Calls.",
      "# TYPE calls_total counter",
      'calls_total{method="Get",code="OK"} 3',
      'calls_total{method="Put",code="OK"} 1',
      'calls_total{method="say \\"hi\\"\\n",code="a\\\\b"} 1',
      "",
    ].join("\n"),
  );
});

test("histogram buckets are cumulative and include their upper bound", () => {
  const registry = new MetricsRegistry();
  const seconds = registry.histogram("took_seconds", "Time.", exponentialBuckets(0.5, 2, 3));
  for (const value of [0.5, 0.6, 1, 2, 7]) {
    seconds.observe(value);
  }
  expect(registry.render().split("\n").slice(2, -1)).toEqual([
    'took_seconds_bucket{le="0.5"} 1',
    'took_seconds_bucket{le="1"} 3',
    'took_seconds_bucket{le="2"} 4',
    'took_seconds_bucket{le="+Inf"} 5',
    "took_seconds_sum 11.1",
    "took_seconds_count 5",
  ]);
});

test("a family without series and an empty registry render nothing", () => {
  const registry = new MetricsRegistry();
  registry.gaugeFamily("unused", "None yet.", ["id"]);
  expect(registry.render()).toBe("");
});

test("collectors run before each rendering", () => {
  const registry = new MetricsRegistry();
  const total = registry.counter("seen_total", "Seen.");
  let seen = 0;
  registry.onCollect(() => total.set(++seen));
  registry.render();
  expect(registry.render()).toContain("seen_total 2\n");
});

test("a name twice, a bad name and a wrong number of labels are refused", () => {
  const registry = new MetricsRegistry();
  registry.counter("one_total", "One.");
  expect(() => registry.gauge("one_total", "Again.")).toThrow("registered twice");
  expect(() => registry.counter("9lives", "Bad.")).toThrow("not a metric name");
  const family = registry.gaugeFamily("two", "Two.", ["id"]);
  expect(() => family.with()).toThrow("wrong number of labels");
});
