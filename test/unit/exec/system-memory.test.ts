import { expect, test } from "bun:test"
import { systemMemory } from "../../../src/exec/system-memory.ts"

const GROUPS = {
  "/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/proc/self/cgroup": "0::/a/b\n",
}
const MEMINFO = { "/proc/meminfo": "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    500 kB\n" }
const of = (files: Record<string, string>) => systemMemory((path) => files[path] ?? null)

test("is the machine's where no group limits it", () => {
  expect(of(MEMINFO)).toEqual({ totalBytes: 1_024_000, availableBytes: 512_000 })
  const wide = { ...GROUPS, "/sys/fs/cgroup/a/memory.max": "2000000\n", "/sys/fs/cgroup/a/memory.current": "1000\n" }
  expect(of({ ...MEMINFO, ...wide })).toEqual({ totalBytes: 1_024_000, availableBytes: 512_000 })
})

test("is the least that the machine and each group leave", () => {
  const files = {
    ...MEMINFO, ...GROUPS,
    "/sys/fs/cgroup/a/b/memory.max": "400000\n", "/sys/fs/cgroup/a/b/memory.current": "100000\n",
    "/sys/fs/cgroup/a/memory.max": "600000\n", "/sys/fs/cgroup/a/memory.current": "500000\n",
  }
  expect(of(files)).toEqual({ totalBytes: 400_000, availableBytes: 100_000 })
  const full = { ...files, "/sys/fs/cgroup/a/memory.current": "600001\n" }
  expect(of(full).availableBytes).toBe(0)
})

test("is told on this machine", () => {
  const { totalBytes, availableBytes } = systemMemory()
  expect(availableBytes).toBeGreaterThan(2 ** 26)
  expect(totalBytes).toBeGreaterThanOrEqual(availableBytes)
})
