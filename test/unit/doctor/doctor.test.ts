import { describe, expect, test } from "bun:test"
import { HOST, readLimits, readMemory, readProcessor, type HostFiles } from "../../../src/doctor/host.ts"
import { describeLevels } from "../../../src/doctor/levels.ts"
import { describe as describeFindings, findProblems, type Findings } from "../../../src/doctor/report.ts"

const CPU0 = "/sys/devices/system/cpu/cpu0/cache"

/** A machine of files. */
function machine(files: Record<string, string>): HostFiles {
  return {
    read: (path) => files[path] ?? null,
    list: (dir) => {
      const below = Object.keys(files).filter((path) => path.startsWith(`${dir}/`))
      return [...new Set(below.map((path) => path.slice(dir.length + 1).split("/")[0]!))]
    },
  }
}

const SERVER = machine({
  "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 fma f16c\n",
  "/proc/self/status": "Name:\tbaozi\nCpus_allowed_list:\t0-3,8\n",
  "/sys/devices/system/cpu/online": "0-15\n",
  [`${CPU0}/index0/level`]: "1\n", [`${CPU0}/index0/type`]: "Data\n", [`${CPU0}/index0/size`]: "32K\n",
  [`${CPU0}/index3/level`]: "3\n", [`${CPU0}/index3/type`]: "Unified\n", [`${CPU0}/index3/size`]: "32M\n",
  "/sys/devices/system/node/node0/x": "", "/sys/devices/system/node/node1/x": "",
  "/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/proc/self/cgroup": "0::/\n",
  "/sys/fs/cgroup/cpu.max": "250000 100000\n",
  "/sys/fs/cgroup/memory.max": "4294967296\n", "/sys/fs/cgroup/memory.current": "1073741824\n",
  "/proc/meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\nSwapTotal: 0 kB\nHugePages_Total: 4\n",
  "/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
  "/proc/self/limits": "Max open files            1024                 524288               files\n" +
    "Max locked memory         unlimited            unlimited            bytes\n",
})

test("a machine is read from its files", () => {
  expect(readProcessor(SERVER)).toEqual({
    model: "Some CPU", online: 16, usable: 5, quota: 2.5, numaNodes: 2, flags: new Set(["fpu", "avx2", "fma", "f16c"]),
    caches: [{ level: 1, kind: "Data", bytes: 32 * 2 ** 10 }, { level: 3, kind: "Unified", bytes: 32 * 2 ** 20 }],
  })
  expect(readMemory(SERVER)).toEqual({
    totalBytes: 2 ** 34, availableBytes: 2 ** 33, swapBytes: 0, groupLimitBytes: 2 ** 32, groupUsedBytes: 2 ** 30,
    transparentHugePages: "never", reservedHugePages: 4,
  })
  expect(readLimits(SERVER)).toEqual({ openFiles: 1024, openFilesHard: 524288, lockedBytes: null })
})

test("of control groups around one another the one that leaves least counts", () => {
  const nested = machine({
    "/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/proc/self/cgroup": "0::/a/b\n",
    "/sys/fs/cgroup/a/memory.max": "5000\n", "/sys/fs/cgroup/a/memory.current": "4900\n",
    "/sys/fs/cgroup/a/b/memory.max": "3000\n", "/sys/fs/cgroup/a/b/memory.current": "1000\n",
  })
  expect(readMemory(nested)).toMatchObject({ groupLimitBytes: 5000, groupUsedBytes: 4900 })
})

test("a machine that tells nothing is no error, and this one tells something", () => {
  expect(readProcessor(machine({}))).toMatchObject({ model: null, online: null, usable: null, quota: null, caches: [] })
  expect(readLimits(machine({}))).toEqual({ openFiles: null, openFilesHard: null, lockedBytes: null })
  if (process.platform === "linux") expect(readMemory(HOST).totalBytes).toBeGreaterThan(2 ** 28)
})

describe("levels", () => {
  test("say what the processor lacks", () => {
    const levels = describeLevels("x64", new Set(["avx2", "fma", "f16c", "avx512f"]), ["scalar", "avx2"])
    expect(levels.map(({ name, isUsable }) => [name, isUsable])).toEqual([
      ["scalar", true], ["avx2", true], ["avx512", false], ["avx512_vnni", false], ["amx", false],
    ])
    expect(levels[2]!.reason).toBe("the processor lacks avx512bw, avx512dq, avx512vl")
  })

  test("that the system withholds are said to be withheld", () => {
    const [, avx2] = describeLevels("x64", new Set(["avx2", "fma", "f16c"]), ["scalar"])
    expect(avx2!.reason).toContain("operating system")
  })
})

function findings(overrides: Partial<Findings> = {}): Findings {
  const { flags, ...processor } = readProcessor(SERVER)
  return {
    version: "1.2.3", system: { system: "Linux" }, processor, level: "avx2", threads: 3,
    levels: describeLevels("x64", flags, ["scalar", "avx2"]),
    backends: [
      { name: "cpu", isUsable: true, detail: "kernels for avx2", path: "/lib/cpu.so" },
      { name: "cuda", isUsable: false, detail: "this version has no kernels for it", path: null },
    ],
    memory: readMemory(SERVER), limits: readLimits(SERVER),
    directories: [{ purpose: "kernel libraries", path: "/lib", isUsable: true, detail: "fine" }],
    ...overrides,
  }
}

describe("problems", () => {
  test("are told with what helps", () => {
    const told = findProblems(findings()).map(({ severity, message, hint }) => `${severity}: ${message}: ${hint}`)
    expect(told).toEqual([
      "warning: the control group grants 2.5 of 5 processors; serve computes with 3 threads: " +
        "--threads 2 never has to wait for the group's next period",
      "warning: 2 NUMA nodes: memory of another node is slower: numactl --cpunodebind=0 --membind=0 baozi serve",
      "warning: transparent huge pages are off: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
      "warning: 1024 files may be open, a connection counted as one: ulimit -n 524288",
    ])
  })

  test.each<[quota: number, threads: number | null, told: string]>([
    [2, 2, "grants 2 of 5 processors; serve computes with 2 threads: a larger quota is faster"],
    [0.5, 1, "grants 0.5 of 5 processors; serve computes with 1 thread: a larger quota is faster"],
    [1.2, null, "grants 1.2 of 5 processors: a larger quota is faster"],
  ])("of a quota of %p processors", (quota, threads, told) => {
    const processor = { ...findings().processor, quota }
    const [first] = findProblems(findings({ processor, threads }))
    expect(`${first!.message}: ${first!.hint}`).toBe(`the control group ${told}`)
  })

  test("without a backend are errors", () => {
    const backends = [{ name: "cpu", isUsable: false, detail: "no library", path: null }]
    const [first] = findProblems(findings({ backends }))
    expect(first).toMatchObject({ severity: "error", message: expect.stringContaining("no library") })
  })

  test("there are none on a good machine", () => {
    const { processor, memory, limits } = findings()
    const good = findings({
      processor: { ...processor, quota: null, numaNodes: 1 }, memory: { ...memory, transparentHugePages: "madvise" },
      limits: { ...limits, openFiles: null },
    })
    expect(findProblems(good)).toEqual([])
    expect(describeFindings(good, [])).toEndWith("Problems\n  none\n")
  })
})

test("the text holds every finding", () => {
  const text = describeFindings(findings(), findProblems(findings()))
  for (const line of [
    "baozi 1.2.3", "5 usable of 16, time for 2.5 by control group", "3, unless --threads says otherwise",
    "L3 cache", "32 MiB", "avx512_vnni",
    "no: the processor lacks", "cuda  no: this version has no kernels for it", "1.0 GiB of 4.0 GiB",
    "transparent: never, reserved: 4", "1024, up to 524288",
    "warning  transparent huge pages are off. HINT: echo madvise",
  ]) expect(text).toContain(line)
})
