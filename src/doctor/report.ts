/** What `baozi doctor` finds, as data and as text. */
import type { HostMemory, Limits, Processor } from "./host.ts"
import type { Level } from "./levels.ts"

export interface Backend {
  readonly name: string
  readonly isUsable: boolean
  /** Why not, or what it runs on. */
  readonly detail: string
  readonly path: string | null
}

export interface Directory {
  readonly purpose: string
  readonly path: string | null
  readonly isUsable: boolean
  readonly detail: string
}

/** Something that costs speed or will fail, and what helps. */
export interface Problem {
  readonly severity: "error" | "warning"
  readonly message: string
  readonly hint: string
}

export interface Findings {
  readonly version: string
  readonly system: Readonly<Record<string, string>>
  readonly processor: Omit<Processor, "flags">
  /** That `serve` will use; null without a usable library. */
  readonly level: string | null
  /** That `serve` computes with where --threads does not say; null without a usable library. */
  readonly threads: number | null
  readonly levels: readonly Level[]
  readonly backends: readonly Backend[]
  readonly memory: HostMemory
  readonly limits: Limits
  readonly directories: readonly Directory[]
}

/** Connections and files together, for a server with many clients. */
const FEW_OPEN_FILES = 4096
const LITTLE_MEMORY = 2 ** 30

export function findProblems(findings: Findings): Problem[] {
  const { processor, levels, threads, backends, memory, limits, directories } = findings
  const problems: Problem[] = []
  const error = (message: string, hint: string) => problems.push({ severity: "error", message, hint })
  const warn = (message: string, hint: string) => problems.push({ severity: "warning", message, hint })

  for (const { purpose, isUsable, detail } of directories)
    if (!isUsable && purpose === "kernel libraries") error(`no place for the kernel libraries: ${detail}`, "--lib-dir")
  const hasCpu = backends.some(({ name, isUsable }) => name === "cpu" && isUsable)
  const detail = backends.find(({ name }) => name === "cpu")?.detail ?? "there is none"
  if (!hasCpu) error(`the CPU backend: ${detail}`, "nothing can be served without it")
  else if (levels.every(({ name, isUsable }) => name === "scalar" || !isUsable))
    warn("only plain code runs on this processor", "one with AVX2 or better is many times faster")

  const { quota, usable, numaNodes } = processor
  if (quota !== null && usable !== null && quota < usable) {
    const started = threads === null ? "" : `; serve computes with ${count(threads, "thread")}`
    const unslowed = Math.floor(quota)
    const hint = unslowed >= 1 && threads !== null && unslowed < threads
      ? `--threads ${unslowed} never has to wait for the group's next period`
      : "a larger quota is faster"
    warn(`the control group grants ${quota} of ${usable} processors${started}`, hint)
  }
  if (numaNodes > 1) {
    const hint = "numactl --cpunodebind=0 --membind=0 baozi serve"
    warn(`${numaNodes} NUMA nodes: memory of another node is slower`, hint)
  }
  if (memory.transparentHugePages === "never")
    warn("transparent huge pages are off", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
  const available = availableBytes(memory)
  if (available !== null && available < LITTLE_MEMORY)
    warn(`${bytes(available)} of memory are free`, "weights and KV cache need more for all but the smallest models")
  const { openFiles, openFilesHard } = limits
  if (openFiles !== null && openFiles < FEW_OPEN_FILES)
    warn(`${openFiles} files may be open, a connection counted as one`, `ulimit -n ${openFilesHard ?? 65536}`)
  return problems
}

/** What this process may still take. */
export function availableBytes({ availableBytes, groupLimitBytes, groupUsedBytes }: HostMemory): number | null {
  if (groupLimitBytes === null || availableBytes === null) return availableBytes
  return Math.min(availableBytes, Math.max(0, groupLimitBytes - (groupUsedBytes ?? 0)))
}

type Row = readonly [name: string, value: string]

export function describe(findings: Findings, problems: readonly Problem[]): string {
  const { version, system, backends, limits, directories } = findings
  const { openFiles, openFilesHard, lockedBytes } = limits
  const sections: [string, Row[]][] = [
    [`baozi ${version}`, Object.entries(system)],
    ["Processor", processorRows(findings)],
    ["Backends", backends.map(({ name, isUsable, detail }) => [name, `${isUsable ? "usable" : "no"}: ${detail}`])],
    ["Memory", memoryRows(findings.memory)],
    ["Limits", [
      ["open files", `${openFiles ?? "unlimited"}, up to ${openFilesHard ?? "unlimited"}`],
      ["locked memory", lockedBytes === null ? "unlimited" : bytes(lockedBytes)],
    ]],
    ["Directories", directories.map(({ purpose, path, detail }) => [purpose, `${path ?? "none"} (${detail})`])],
    ["Problems", problems.length === 0
      ? [["none", ""]]
      : problems.map(({ severity, message, hint }) => [severity, `${message}. HINT: ${hint}`])],
  ]
  return sections.map(([title, rows]) => `${title}\n${table(rows)}`).join("\n")
}

function processorRows({ processor, level, threads, levels }: Findings): Row[] {
  const { model, online, usable, quota, numaNodes, caches } = processor
  const granted = quota === null ? "" : `, time for ${quota} by control group`
  return [
    ["model", model ?? "unknown"],
    ["processors", `${usable ?? "?"} usable of ${online ?? "?"}${granted}`],
    ["threads", threads === null ? "none" : `${threads}, unless --threads says otherwise`],
    ["NUMA nodes", String(numaNodes)],
    ...caches.filter(({ kind }) => kind !== "Instruction")
      .map((cache): Row => [`L${cache.level} cache`, bytes(cache.bytes)]),
    ["instruction level", level ?? "none"],
    ...levels.map(({ name, isUsable, reason }): Row => [`  ${name}`, isUsable ? "usable" : `no: ${reason}`]),
  ]
}

function memoryRows(memory: HostMemory): Row[] {
  const { totalBytes, swapBytes, groupLimitBytes, groupUsedBytes } = memory
  const group = groupLimitBytes === null ? "no limit" : `${bytes(groupUsedBytes)} of ${bytes(groupLimitBytes)}`
  const transparent = memory.transparentHugePages ?? "unknown"
  return [
    ["total", bytes(totalBytes)],
    ["available", bytes(availableBytes(memory))],
    ["control group", group],
    ["swap", swapBytes === 0 ? "none" : bytes(swapBytes)],
    ["huge pages", `transparent: ${transparent}, reserved: ${memory.reservedHugePages ?? "unknown"}`],
  ]
}

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`.trimEnd() + "\n").join("")
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`
}

function bytes(count: number | null): string {
  if (count === null) return "unknown"
  if (count >= 2 ** 30) return `${(count / 2 ** 30).toFixed(1)} GiB`
  return count >= 2 ** 20 ? `${Math.round(count / 2 ** 20)} MiB` : `${Math.round(count / 2 ** 10)} KiB`
}
