import { afterAll, expect, test } from "bun:test"
import fc from "fast-check"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Checkpoint } from "../../../src/model/load/checkpoint.ts"
import { openSafetensors } from "../../../src/model/load/safetensors.ts"
import { MemoryFile, safetensorsFile, TempDir } from "../../unit/model/files.ts"
import { damaged, readOrRefuse } from "./damage.ts"

const dir = new TempDir()
writeFileSync(join(dir.path, "model.safetensors"), "")
afterAll(() => dir[Symbol.dispose]())

const WHOLE = safetensorsFile({
  __metadata__: { format: "pt" },
  "model.norm.weight": { dtype: "F32", shape: [4], data_offsets: [0, 16] },
  "lm_head.weight": { dtype: "BF16", shape: [3, 4], data_offsets: [16, 40] },
  odd: { dtype: "F8_E5M2", shape: [2, 1, 2], data_offsets: [40, 44] },
}, new Uint8Array(44))

/** Opens the bytes as the directory's file. What opens has its tensors inside the file and apart. */
function check(bytes: Uint8Array): Checkpoint | null {
  const file = new MemoryFile(bytes)
  const checkpoint = readOrRefuse(() => openSafetensors(dir.path, () => file))
  expect(file.isMapped).toBe(checkpoint !== null)
  if (checkpoint === null) return null
  expect(checkpoint.totalBytes).toBeLessThanOrEqual(file.size)
  const tensors = checkpoint
    .names()
    .map((name) => readOrRefuse(() => checkpoint.get(name)))
    .filter((tensor) => tensor !== null)
  let end = file.address
  for (const { address, bytes: length, shape, dtype } of tensors.toSorted(
    (a, b) => a.address - b.address || a.bytes - b.bytes,
  )) {
    expect(address).toBeGreaterThanOrEqual(end)
    expect(shape.reduce((product, size) => product * size, dtype === "F32" ? 4 : 2)).toBe(length)
    end = address + length
  }
  expect(end).toBeLessThanOrEqual(file.address + file.size)
  return checkpoint
}

test("the whole file opens, and no part of it", () => {
  expect(check(WHOLE)?.names()).toHaveLength(3)
  for (let length = 0; length < WHOLE.length; length++) expect(check(WHOLE.slice(0, length))).toBeNull()
})

test("damage is refused or harmless", () => {
  fc.assert(fc.property(damaged(WHOLE), (bytes) => void check(bytes)), { numRuns: 1000 })
})

test("any header is refused or consistent", () => {
  const number = fc.oneof(fc.nat(64), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 1e300, null))
  const entry = fc.record(
    {
      dtype: fc.oneof(fc.constantFrom("F32", "BF16", "F8_E4M3", "F4", "X", "__proto__"), fc.anything()),
      shape: fc.oneof(fc.array(number, { maxLength: 9 }), fc.anything()),
      data_offsets: fc.oneof(fc.tuple(number, number), fc.anything()),
    },
    { requiredKeys: [] },
  )
  const header = fc.dictionary(
    fc.oneof(fc.string(), fc.constantFrom("a", "__proto__", "__metadata__")),
    fc.oneof(entry, fc.jsonValue()),
  )
  fc.assert(
    fc.property(header, fc.nat(64), (value, dataBytes) => {
      const json = JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? Number(item) : item))
      check(safetensorsFile(json, new Uint8Array(dataBytes)))
    }),
    { numRuns: 1000 },
  )
})

test("any tiling of the data opens", () => {
  const sizes = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 8 })
  fc.assert(
    fc.property(sizes, (shapes) => {
      let at = 0
      const header = Object.fromEntries(shapes.map((shape, i) => {
        const begin = at
        at += shape[0] * shape[1] * 4
        return [`t${i}`, { dtype: "F32", shape, data_offsets: [begin, at] }]
      }))
      expect(check(safetensorsFile(header, new Uint8Array(at)))?.totalBytes).toBe(at)
    }),
    { numRuns: 300 },
  )
})
