import { describe, expect, test } from "bun:test"
import { groupMemories, groupProcessors } from "../../../src/base/control-group.ts"

/** `[limit, used]` of each group that a machine of these files shows. */
function memories(files: Record<string, string>): [number, number][] {
  return groupMemories((path) => files[path] ?? null).map(({ limitBytes, usedBytes }) => [limitBytes, usedBytes])
}

const processors = (files: Record<string, string>): number | null => groupProcessors((path) => files[path] ?? null)

const mount = (root: string, at: string, type: string, options: string): string =>
  `35 31 0:32 ${root} ${at} rw,nosuid,relatime shared:9 - ${type} ${type} rw,${options}\n`
const SECOND = "/sys/fs/cgroup"
const FIRST = "/sys/fs/cgroup/memory"
const unified = (own: string, root = "/") => ({
  "/proc/self/mountinfo": `25 1 8:1 / / rw - ext4 /dev/sda rw\n${mount(root, SECOND, "cgroup2", "nsdelegate")}`,
  "/proc/self/cgroup": `0::${own}\n`,
})
const legacy = (own: string, root = "/") => ({
  "/proc/self/mountinfo":
    mount("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct") + mount(root, FIRST, "cgroup", "memory") +
    mount("/", "/sys/fs/cgroup/unified", "cgroup2", "nsdelegate"),
  "/proc/self/cgroup": `5:cpuacct,cpu:/x\n4:memory:${own}\n1:name=systemd:/y\n0::/y\n`,
})

describe("memory, second version", () => {
  test("is limited by the process's own group and every one above it", () => {
    const files = {
      ...unified("/system.slice/baozi.service"),
      [`${SECOND}/system.slice/baozi.service/memory.max`]: "4000\n",
      [`${SECOND}/system.slice/baozi.service/memory.current`]: "1000\n",
      [`${SECOND}/system.slice/memory.max`]: "3000\n", [`${SECOND}/system.slice/memory.current`]: "2500\n",
      [`${SECOND}/memory.max`]: "max\n", [`${SECOND}/memory.current`]: "9000\n",
    }
    expect(memories(files)).toEqual([[4000, 1000], [3000, 2500]])
  })

  test("is what a container sees at the root of its own mount", () => {
    const files = { [`${SECOND}/memory.max`]: "4000\n", [`${SECOND}/memory.current`]: "1000\n" }
    for (const machine of [unified("/"), unified("/docker/abc", "/docker/abc"), unified("/../other", "/"), unified("/elsewhere", "/docker/abc")]) {
      expect(memories({ ...machine, ...files })).toEqual([[4000, 1000]])
    }
    const below = { ...unified("/docker/abc/child", "/docker/abc"), [`${SECOND}/child/memory.max`]: "500\n", ...files }
    expect(memories(below)).toEqual([[500, 0], [4000, 1000]])
  })

  test("may be used up to where the group is slowed down, and files that are only cached do not count", () => {
    const stat = "anon 500\nfile 400\ninactive_file 300\nactive_file 100\n"
    const files = { ...unified("/"), [`${SECOND}/memory.max`]: "4000\n", [`${SECOND}/memory.high`]: "3000\n" }
    expect(memories({ ...files, [`${SECOND}/memory.current`]: "900\n", [`${SECOND}/memory.stat`]: stat }))
      .toEqual([[3000, 600]])
    expect(memories({ ...files, [`${SECOND}/memory.current`]: "200\n", [`${SECOND}/memory.stat`]: stat }))
      .toEqual([[3000, 0]])
  })
})

describe("memory, first version", () => {
  test("is limited by the group of the memory controller, and those above", () => {
    const files = {
      ...legacy("/docker/abc"),
      [`${FIRST}/docker/abc/memory.limit_in_bytes`]: "4000\n", [`${FIRST}/docker/abc/memory.usage_in_bytes`]: "1500\n",
      [`${FIRST}/docker/abc/memory.stat`]: "inactive_file 1\ntotal_inactive_file 500\n",
      [`${FIRST}/docker/memory.limit_in_bytes`]: "9223372036854771712\n",
      [`${FIRST}/memory.limit_in_bytes`]: "8000\n", [`${FIRST}/memory.usage_in_bytes`]: "7000\n",
    }
    expect(memories(files)).toEqual([[4000, 1000], [8000, 7000]])
  })

  test("is what a container sees where its group is mounted", () => {
    const files = { [`${FIRST}/memory.limit_in_bytes`]: "4000\n", [`${FIRST}/memory.usage_in_bytes`]: "1500\n" }
    expect(memories({ ...legacy("/docker/abc", "/docker/abc"), ...files })).toEqual([[4000, 1500]])
  })
})

test("a path with a space is found", () => {
  const files = {
    "/proc/self/mountinfo": mount("/", "/sys/my\\040groups", "cgroup2", "x"), "/proc/self/cgroup": "0::/a:b c\n",
    "/sys/my groups/a:b c/memory.max": "7\n",
  }
  expect(memories(files)).toEqual([[7, 0]])
})

test("without limits, without groups and without Linux there are none", () => {
  expect(memories(unified("/a"))).toEqual([])
  expect(memories({ ...unified("/a"), "/proc/self/cgroup": "", [`${SECOND}/memory.max`]: "max\n" })).toEqual([])
  expect(memories({})).toEqual([])
  expect(processors({})).toBeNull()
})

test("of processors the least that any group grants counts", () => {
  expect(processors({
    ...unified("/a/b"), [`${SECOND}/a/b/cpu.max`]: "max 100000\n", [`${SECOND}/a/cpu.max`]: "250000 100000\n",
    [`${SECOND}/cpu.max`]: "800000 100000\n",
  })).toBe(2.5)
  const cpu = "/sys/fs/cgroup/cpu,cpuacct"
  const old = (quota: string) => ({
    ...legacy("/m"), [`${cpu}/x/cpu.cfs_quota_us`]: quota, [`${cpu}/x/cpu.cfs_period_us`]: "100000\n",
    [`${cpu}/cpu.cfs_quota_us`]: "-1\n", [`${cpu}/cpu.cfs_period_us`]: "100000\n",
  })
  expect([processors(old("50000\n")), processors(old("-1\n"))]).toEqual([0.5, null])
})
