/**
 * What Linux tells of the machine, of this process's share of it, and of its limits. Nothing here fails: what is not
 * told is null.
 */
import { readdirSync, readFileSync } from "node:fs"
import { groupMemories, groupProcessors } from "../base/control-group.ts"

/** Reads a file below /proc or /sys, or null. Tests bring a machine of their own. */
export interface HostFiles {
  read(path: string): string | null
  list(path: string): string[]
}

export const HOST: HostFiles = {
  read: (path) => {
    try {
      return readFileSync(path, "latin1")
    } catch {
      return null
    }
  },
  list: (path) => {
    try {
      return readdirSync(path)
    } catch {
      return []
    }
  },
}

export interface Processor {
  readonly model: string | null
  /** Of the whole machine. */
  readonly online: number | null
  /** That this process may run on. */
  readonly usable: number | null
  /** Processors' worth of time that the control group grants; null is no limit. */
  readonly quota: number | null
  readonly numaNodes: number
  readonly caches: readonly { readonly level: number; readonly kind: string; readonly bytes: number }[]
  /** As the kernel names them. */
  readonly flags: ReadonlySet<string>
}

export function readProcessor({ read, list }: HostFiles): Processor {
  const cpuinfo = read("/proc/cpuinfo") ?? ""
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(cpuinfo)?.[1] ?? null
  const cacheDir = "/sys/devices/system/cpu/cpu0/cache"
  const caches = list(cacheDir).filter((name) => name.startsWith("index")).flatMap((index) => {
    const [level, kind, size] = ["level", "type", "size"].map((name) => read(`${cacheDir}/${index}/${name}`)?.trim())
    const bytes = parseSize(size)
    return bytes === null ? [] : [{ level: Number(level), kind: kind ?? "", bytes }]
  }).sort((a, b) => a.level - b.level)
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status") ?? "")?.[1]
  return {
    model: field("model name") ?? field("Model"),
    online: countList(read("/sys/devices/system/cpu/online")),
    usable: countList(allowed ?? null),
    quota: groupProcessors(read),
    numaNodes: Math.max(1, list("/sys/devices/system/node").filter((name) => /^node\d+$/.test(name)).length),
    caches,
    flags: new Set((field("flags") ?? field("Features") ?? "").split(/\s+/).filter((flag) => flag !== "")),
  }
}

export interface HostMemory {
  readonly totalBytes: number | null
  readonly availableBytes: number | null
  readonly swapBytes: number | null
  /** Of the control group that leaves least, with what it uses; null is no limit. */
  readonly groupLimitBytes: number | null
  readonly groupUsedBytes: number | null
  /** "always", "madvise" or "never". */
  readonly transparentHugePages: string | null
  readonly reservedHugePages: number | null
}

export function readMemory({ read }: HostFiles): HostMemory {
  const meminfo = read("/proc/meminfo") ?? ""
  const kilobytes = (name: string): number | null => {
    const match = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)
    return match === null ? null : Number(match[1]) * 1024
  }
  const [group] = groupMemories(read).sort((a, b) => a.limitBytes - a.usedBytes - (b.limitBytes - b.usedBytes))
  const reserved = /^HugePages_Total:\s+(\d+)/m.exec(meminfo)?.[1]
  return {
    totalBytes: kilobytes("MemTotal"),
    availableBytes: kilobytes("MemAvailable"),
    swapBytes: kilobytes("SwapTotal"),
    groupLimitBytes: group?.limitBytes ?? null,
    groupUsedBytes: group?.usedBytes ?? null,
    transparentHugePages: /\[(\w+)\]/.exec(read("/sys/kernel/mm/transparent_hugepage/enabled") ?? "")?.[1] ?? null,
    reservedHugePages: reserved === undefined ? null : Number(reserved),
  }
}

export interface Limits {
  /** Null is unlimited, or not told. */
  readonly openFiles: number | null
  readonly openFilesHard: number | null
  readonly lockedBytes: number | null
}

export function readLimits({ read }: HostFiles): Limits {
  const limits = read("/proc/self/limits") ?? ""
  const values = (name: string): (number | null)[] => {
    const match = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, "m").exec(limits)
    return [match?.[1], match?.[2]].map((word) => (word === undefined || word === "unlimited" ? null : Number(word)))
  }
  const [openFiles = null, openFilesHard = null] = values("Max open files")
  const [lockedBytes = null] = values("Max locked memory")
  return { openFiles, openFilesHard, lockedBytes }
}

/** How many "0-3,8,10-11" names. */
function countList(list: string | null): number | null {
  if (list === null || list.trim() === "") return null
  return list.trim().split(",").reduce((count, range) => {
    const [first, last = first] = range.split("-").map(Number)
    return count + last! - first! + 1
  }, 0)
}

/** "32K", "512K", "32M". */
function parseSize(text: string | undefined): number | null {
  const match = /^(\d+)([KMG]?)$/.exec(text ?? "")
  return match === null ? null : Number(match[1]) * 1024 ** " KMG".indexOf(match[2] || " ")
}
