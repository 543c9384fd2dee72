/**
 * What Linux's control groups allow this process, in both of their versions: a process is in one group of each
 * hierarchy, and every group above that one limits it too. See cgroups(7), and proc(5) on mountinfo.
 */

/** A file's text, or null where it cannot be read. */
export type ReadFile = (path: string) => string | null

export interface GroupMemory {
  readonly limitBytes: number
  /** What the group holds, without what the system would take from it first: cached files that nobody reads now. */
  readonly usedBytes: number
}

interface Version {
  readonly fileSystem: string
  readonly limits: readonly string[]
  readonly used: string
  /** A field of memory.stat. */
  readonly reclaimable: string
}

const VERSIONS: readonly Version[] = [
  {
    fileSystem: "cgroup2", limits: ["memory.max", "memory.high"], used: "memory.current", reclaimable: "inactive_file",
  },
  {
    fileSystem: "cgroup", limits: ["memory.limit_in_bytes"], used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
  },
]
/** A group of the first version writes this many, or a page less, for "no limit". */
const NO_LIMIT = 2 ** 62

/** Of each group above or around this process that has a limit, from its own upwards. */
export function groupMemories(read: ReadFile): GroupMemory[] {
  return VERSIONS.flatMap(({ fileSystem, limits, used, reclaimable }) =>
    groupDirectories(read, fileSystem, "memory").flatMap((directory) => {
      const number = (name: string): number | null => readNumber(read(`${directory}/${name}`))
      const limitBytes = Math.min(...limits.map((name) => number(name) ?? Infinity))
      if (limitBytes >= NO_LIMIT) return []
      const stat = read(`${directory}/memory.stat`) ?? ""
      const idle = Number(new RegExp(`^${reclaimable} (\\d+)$`, "m").exec(stat)?.[1] ?? 0)
      return [{ limitBytes, usedBytes: Math.max(0, (number(used) ?? 0) - idle) }]
    }))
}

/** Processors' worth of time, the least that any group grants; null is no limit. */
export function groupProcessors(read: ReadFile): number | null {
  const second = groupDirectories(read, "cgroup2", "cpu").map((directory) => {
    const [quota, period] = (read(`${directory}/cpu.max`) ?? "").trim().split(" ")
    return Number(quota || "max") / Number(period)
  })
  const first = groupDirectories(read, "cgroup", "cpu").map((directory) => {
    const quota = readNumber(read(`${directory}/cpu.cfs_quota_us`))
    return (quota ?? NaN) / (readNumber(read(`${directory}/cpu.cfs_period_us`)) ?? NaN)
  })
  const granted = [...second, ...first].filter((processors) => processors > 0)
  return granted.length === 0 ? null : Math.min(...granted)
}

/** Where the groups of this process are shown, its own first; none where the hierarchy is not mounted. */
function groupDirectories(read: ReadFile, fileSystem: string, controller: string): string[] {
  const mount = (read("/proc/self/mountinfo") ?? "").split("\n").map(parseMount)
    .find((entry) => entry?.fileSystem === fileSystem && (fileSystem === "cgroup2" || entry.options.includes(controller)))
  if (mount === undefined || mount === null) return []
  const own = ownGroup(read, fileSystem === "cgroup2" ? null : controller)
  // In a container the hierarchy may be mounted from the container's group on, or tell of groups that are not shown.
  const prefix = mount.root === "/" ? "" : mount.root
  const isShown = own !== null && (own === prefix || own.startsWith(`${prefix}/`)) && !own.includes("/..")
  const steps = isShown ? own.slice(prefix.length).split("/").filter((step) => step !== "") : []
  return Array.from({ length: steps.length + 1 }, (_, i) =>
    [mount.path, ...steps.slice(0, steps.length - i)].join("/"))
}

/** The path in the hierarchy of `controller`, of the second version for null. */
function ownGroup(read: ReadFile, controller: string | null): string | null {
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) continue
    if (controller === null ? controllers === "" : controllers.split(",").includes(controller)) return path
  }
  return null
}

interface Mount {
  readonly fileSystem: string
  /** The directory of the file system that is shown at `path`. */
  readonly root: string
  readonly path: string
  readonly options: readonly string[]
}

function parseMount(line: string): Mount | null {
  const [, root, path, fileSystem, options] =
    /^\d+ \d+ \S+ (\S+) (\S+) .*? - (\S+) \S+ (\S+)$/.exec(line) ?? []
  if (root === undefined || path === undefined || fileSystem === undefined || options === undefined) return null
  return { fileSystem, root: unescaped(root), path: unescaped(path), options: options.split(",") }
}

/** White space and backslashes are written as \040. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
}

function readNumber(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text.trim()) ? Number(text) : null
}
