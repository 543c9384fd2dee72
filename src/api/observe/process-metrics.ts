/** This process in figures, under the names that Prometheus' clients give them. Linux tells them in /proc. */
import { readdirSync, readFileSync } from "node:fs"
import { MetricsRegistry } from "../../engine/metrics-registry.ts"

/** USER_HZ, which Linux shows to every program, whatever the kernel's own clock. */
const CLOCK_TICKS_PER_SECOND = 100

export interface ProcessStats {
  readonly virtualBytes: number
  readonly residentBytes: number
  /** Since the epoch. */
  readonly startSeconds: number
  readonly cpuSeconds: number
  readonly openFiles: number
  readonly maxOpenFiles: number
}

/** Prometheus text; "" where there is no /proc. */
export function renderProcessMetrics(read: () => ProcessStats | null = readProcessStats): string {
  const stats = read()
  if (stats === null) return ""
  const registry = new MetricsRegistry()
  const gauge = (name: string, help: string, value: number) => registry.gauge({ name, help }).labels().set(value)
  gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", stats.virtualBytes)
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", stats.residentBytes)
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", stats.startSeconds)
  const cpu = "Total user and system CPU time spent in seconds."
  registry.counter({ name: "process_cpu_seconds", help: cpu }).labels().inc(stats.cpuSeconds)
  gauge("process_open_fds", "Number of open file descriptors.", stats.openFiles)
  gauge("process_max_fds", "Maximum number of open file descriptors.", stats.maxOpenFiles)
  return registry.render()
}

export function readProcessStats(): ProcessStats | null {
  try {
    const fields = statFields(readFileSync("/proc/self/stat", "latin1"))
    const status = readFileSync("/proc/self/status", "latin1")
    const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1])
    const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1]
    return {
      virtualBytes: bytesOf(status, "VmSize"),
      residentBytes: bytesOf(status, "VmRSS"),
      startSeconds: bootSeconds + fields(22) / CLOCK_TICKS_PER_SECOND,
      cpuSeconds: (fields(14) + fields(15)) / CLOCK_TICKS_PER_SECOND,
      openFiles: readdirSync("/proc/self/fd").length,
      maxOpenFiles: limit === "unlimited" ? Infinity : Number(limit),
    }
  } catch {
    return null
  }
}

function bytesOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024
}

/** Fields of proc(5)'s stat by their numbers there. The second, a name in brackets, may hold spaces and brackets. */
function statFields(line: string): (number: number) => number {
  const afterName = line.slice(line.lastIndexOf(")") + 2).split(" ")
  return (number) => Number(afterName[number - 3])
}
