import { readFileSync } from "node:fs"
import { freemem, totalmem } from "node:os"

export interface SystemMemory {
  readonly totalBytes: number
  /** Free, or held by caches that the system gives up when asked. */
  readonly availableBytes: number
}

/** The machine's memory as this process may use it: the smaller of the system's and the control group's. */
export function systemMemory(): SystemMemory {
  const available = meminfo("MemAvailable") ?? freemem()
  const limit = cgroupNumber("/sys/fs/cgroup/memory.max")
  const used = cgroupNumber("/sys/fs/cgroup/memory.current")
  const total = totalmem()
  if (limit === null || limit >= total) return { totalBytes: total, availableBytes: available }
  return { totalBytes: limit, availableBytes: Math.min(available, Math.max(0, limit - (used ?? 0))) }
}

function meminfo(field: string): number | null {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readOrEmpty("/proc/meminfo"))
  return match === null ? null : Number(match[1]) * 1024
}

function cgroupNumber(path: string): number | null {
  const text = readOrEmpty(path).trim()
  return /^\d+$/.test(text) ? Number(text) : null
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}
