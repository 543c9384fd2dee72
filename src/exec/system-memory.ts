import { readFileSync } from "node:fs"
import { freemem, totalmem } from "node:os"
import { groupMemories } from "../base/control-group.ts"
import type { ReadFile } from "../base/control-group.ts"

export interface SystemMemory {
  readonly totalBytes: number
  /** Free, or held by caches that the system gives up when asked. */
  readonly availableBytes: number
}

/** The machine's memory as this process may use it: the least of the system's and of its control groups'. */
export function systemMemory(read: ReadFile = readOrNull): SystemMemory {
  const meminfo = read("/proc/meminfo") ?? ""
  const kilobytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(meminfo)?.[1]) * 1024
  const groups = groupMemories(read)
  return {
    totalBytes: Math.min(kilobytes("MemTotal") || totalmem(), ...groups.map(({ limitBytes }) => limitBytes)),
    availableBytes: Math.min(
      kilobytes("MemAvailable") || freemem(),
      ...groups.map(({ limitBytes, usedBytes }) => Math.max(0, limitBytes - usedBytes)),
    ),
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null
  }
}
