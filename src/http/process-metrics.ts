// What the process and the JavaScript engine say of themselves: process_* and os_fd_* by the names
// of every Prometheus client (etcd's alerts use them), nodejs_* by those of prom-client.
// Everything is looked up when /metrics is read; only event loop delay is sampled all the time.

import { readdirSync, readFileSync } from "node:fs";
import { type IntervalHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { MetricsRegistry } from "../base/index.ts";

const loopSampleMs = 20;
const nanosecondsPerSecond = 1e9;
/** Of memory, as /proc counts it, bytes. */
const pageBytes = 4096;

/** Registers the metrics; call the result to stop sampling. */
export function registerProcessMetrics(registry: MetricsRegistry): () => void {
  registerProcess(registry);
  registerFiles(registry);
  registerHeap(registry);
  return registerEventLoop(registry);
}

function registerProcess(registry: MetricsRegistry): void {
  const cpu = registry.counter(
    "process_cpu_seconds_total",
    "User and system CPU time spent, seconds.",
  );
  const resident = registry.gauge("process_resident_memory_bytes", "Resident memory, bytes.");
  const virtual = registry.gauge("process_virtual_memory_bytes", "Virtual memory, bytes.");
  registry
    .gauge("process_start_time_seconds", "Start time of the process since the epoch, seconds.")
    .set(performance.timeOrigin / 1_000);
  registry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    cpu.set((user + system) / 1e6);
    resident.set(process.memoryUsage.rss());
    virtual.set(Number(readProc("statm").split(" ")[0] ?? 0) * pageBytes);
  });
}

function registerFiles(registry: MetricsRegistry): void {
  const used = [
    registry.gauge("process_open_fds", "Open file descriptors."),
    registry.gauge("os_fd_used", "Open file descriptors, by etcd's name."),
  ];
  const limits = [
    registry.gauge("process_max_fds", "Most file descriptors that may be open."),
    registry.gauge("os_fd_limit", "Most file descriptors that may be open, by etcd's name."),
  ];
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readProc("limits"))?.[1] ?? 0);
  for (const gauge of limits) {
    gauge.set(limit);
  }
  registry.onCollect(() => {
    const open = countOpenFiles();
    for (const gauge of used) {
      gauge.set(open);
    }
  });
}

function registerHeap(registry: MetricsRegistry): void {
  const total = registry.gauge("nodejs_heap_size_total_bytes", "JavaScript heap, bytes.");
  const used = registry.gauge("nodejs_heap_size_used_bytes", "JavaScript heap in use, bytes.");
  const external = registry.gauge(
    "nodejs_external_memory_bytes",
    "Memory outside the heap that JavaScript objects hold, array buffers included, bytes.",
  );
  const buffers = registry.gauge("nodejs_array_buffers_bytes", "Memory of array buffers, bytes.");
  registry
    .gaugeFamily("nodejs_version_info", "Version of Node.js.", ["version"])
    .with(process.version)
    .set(1);
  registry.onCollect(() => {
    const memory = process.memoryUsage();
    total.set(memory.heapTotal);
    used.set(memory.heapUsed);
    external.set(memory.external);
    buffers.set(memory.arrayBuffers);
  });
}

/** Delays beyond the sampling interval, since the last collection. */
function registerEventLoop(registry: MetricsRegistry): () => void {
  const delay = monitorEventLoopDelay({ resolution: loopSampleMs });
  delay.enable();
  const reads: readonly (readonly [string, (histogram: IntervalHistogram) => number])[] = [
    ["min", (histogram) => histogram.min],
    ["mean", (histogram) => histogram.mean],
    ["p50", (histogram) => histogram.percentile(50)],
    ["p99", (histogram) => histogram.percentile(99)],
    ["max", (histogram) => histogram.max],
  ];
  const gauges = reads.map(([name, read]) => ({
    read,
    gauge: registry.gauge(
      `nodejs_eventloop_lag_${name}_seconds`,
      `Event loop delay since the last look, ${name}, seconds.`,
    ),
  }));
  const utilization = registry.gauge(
    "nodejs_eventloop_utilization",
    "Part of the time since the last look that the event loop was busy, 0 to 1.",
  );
  let before = performance.eventLoopUtilization();
  registry.onCollect(() => {
    for (const { read, gauge } of gauges) {
      const beyondMs = delay.count === 0 ? 0 : read(delay) - loopSampleMs * 1e6;
      gauge.set(Math.max(0, beyondMs) / nanosecondsPerSecond);
    }
    delay.reset();
    const now = performance.eventLoopUtilization();
    utilization.set(performance.eventLoopUtilization(now, before).utilization);
    before = now;
  });
  return () => delay.disable();
}

/** A file of /proc/self, or nothing where there is no such place. */
function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, "utf8");
  } catch {
    return "";
  }
}

function countOpenFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}
