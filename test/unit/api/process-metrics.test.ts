import { expect, test } from "bun:test"
import { readProcessStats, renderProcessMetrics } from "../../../src/api/observe/process-metrics.ts"

test("this process is described as Prometheus' clients describe theirs", () => {
  const stats = readProcessStats()
  if (stats === null) return console.log("SKIPPED: no /proc here")
  const { rss } = process.memoryUsage()
  expect(stats.residentBytes).toBeWithin(rss / 2, rss * 2)
  expect(stats.virtualBytes).toBeGreaterThan(stats.residentBytes)
  expect(stats.cpuSeconds).toBeGreaterThan(0)
  expect(Math.abs(Date.now() / 1000 - process.uptime() - stats.startSeconds)).toBeLessThan(5)
  expect(stats.openFiles).toBeGreaterThan(2)
  expect(stats.maxOpenFiles).toBeGreaterThan(stats.openFiles)
})

test("names and types", () => {
  const figures = {
    virtualBytes: 4096, residentBytes: 1024, startSeconds: 1.5, cpuSeconds: 0.25, openFiles: 7, maxOpenFiles: Infinity,
  }
  const lines = renderProcessMetrics(() => figures).split("\n").filter((line) => !line.startsWith("# HELP"))
  expect(lines).toEqual([
    "# TYPE process_virtual_memory_bytes gauge", "process_virtual_memory_bytes 4096.0",
    "# TYPE process_resident_memory_bytes gauge", "process_resident_memory_bytes 1024.0",
    "# TYPE process_start_time_seconds gauge", "process_start_time_seconds 1.5",
    "# TYPE process_cpu_seconds_total counter", "process_cpu_seconds_total 0.25",
    "# TYPE process_open_fds gauge", "process_open_fds 7.0",
    "# TYPE process_max_fds gauge", "process_max_fds +Inf", "",
  ])
  expect(renderProcessMetrics(() => null)).toBe("")
})
