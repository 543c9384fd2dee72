import { expect, test } from "bun:test"
import fc from "fast-check"
import { ConfigReader, decoderConfig } from "../../../src/model/config.ts"
import type { ModelSource } from "../../../src/model/load/checkpoint.ts"
import { openGguf } from "../../../src/model/load/gguf.ts"
import { MemoryFile, TINY_LLAMA, tinyLlama, type GgufSpec, type GgufValue } from "../../unit/model/files.ts"
import { damaged, readOrRefuse } from "./damage.ts"

const nested: GgufValue = {
  type: "array",
  of: 9,
  items: [{ type: "array", of: 6, items: [{ type: "f32", value: 1 }] }],
}
const WHOLE = tinyLlama({
  metadata: [
    ...TINY_LLAMA,
    ["general.alignment", { type: "u32", value: 32 }],
    ["general.nested", nested],
    ["general.flags", { type: "array", of: 7, items: [{ type: "bool", value: true }] }],
  ],
  tensors: [
    { name: "token_embd.weight", dims: [32, 8], type: 2, offset: 0 },
    { name: "rope_freqs.weight", dims: [8], type: 0, offset: 160 },
    { name: "output.weight", dims: [256, 1], type: 14, offset: 192 },
  ],
  data: new Uint8Array([
    ...new Uint8Array(160),
    ...new Uint8Array(new Float32Array(8).fill(2).buffer),
    ...new Uint8Array(210),
  ]),
})
// Where the tensors begin: an altered weight is no damage that a reader could see.
const HEADER_BYTES = WHOLE.length - (160 + 32 + 210)

/** What opens has its tensors inside the file and apart, and every value can be read, the file gone or not. */
function check(bytes: Uint8Array): ModelSource | null {
  const file = new MemoryFile(bytes)
  const source = readOrRefuse(() => openGguf("m.gguf", () => file))
  expect(file.isMapped).toBe(source !== null)
  if (source === null) return null
  const { checkpoint } = source
  const tensors = checkpoint
    .names()
    .map((name) => readOrRefuse(() => checkpoint.get(name)))
    .filter((tensor) => tensor !== null)
  let end = file.address
  for (const { address, bytes: length, shape } of tensors.toSorted(
    (a, b) => a.address - b.address || a.bytes - b.bytes,
  )) {
    expect(address).toBeGreaterThanOrEqual(end)
    expect(length).toBeGreaterThan(0)
    expect(shape.every((size) => Number.isSafeInteger(size) && size > 0)).toBe(true)
    end = address + length
  }
  expect(end).toBeLessThanOrEqual(file.address + file.size)
  bytes.fill(0xff)
  expect([...source.ggufMetadata!.values()].every((value) => value !== undefined)).toBe(true)
  readOrRefuse(() => decoderConfig(new ConfigReader(source.config)))
  return source
}

test("the whole file opens, and no part of it", () => {
  expect(check(WHOLE.slice())?.checkpoint.names()).toHaveLength(2)
  for (let length = 0; length < WHOLE.length; length++) expect(check(WHOLE.slice(0, length))).toBeNull()
})

test("damage to the header is refused or harmless", () => {
  const header = WHOLE.slice(0, HEADER_BYTES)
  const rest = WHOLE.slice(HEADER_BYTES)
  let opened = 0
  fc.assert(
    fc.property(damaged(header), (bytes) => {
      if (check(Uint8Array.from([...bytes, ...rest])) !== null) opened++
    }),
    { numRuns: 1000 },
  )
  // Strings and ids may change without harm: were everything refused, this test would show nothing.
  expect(opened).toBeGreaterThan(20)
})

test("counts of any size cost no more than the file", () => {
  const count = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const before = process.memoryUsage().rss
  fc.assert(
    fc.property(count, count, fc.array(count, { maxLength: 4 }), count, (numTensors, numEntries, dims, offset) => {
      const specs: GgufSpec[] = [
        { numTensors },
        { numEntries },
        { tensors: [{ name: "token_embd.weight", dims, type: 0, offset }] },
      ]
      for (const spec of specs) check(tinyLlama(spec))
    }),
    { numRuns: 200 },
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024)
})

test("any metadata comes back as it was written", () => {
  const scalar: fc.Arbitrary<GgufValue> = fc.oneof(
    fc.record({ type: fc.constant("u32" as const), value: fc.nat() }),
    fc.record({ type: fc.constant("bool" as const), value: fc.boolean() }),
    fc.record({ type: fc.constant("string" as const), value: fc.string({ unit: "grapheme" }) }),
    fc.record({ type: fc.constant("i64" as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  )
  const strings = fc
    .array(fc.string({ unit: "grapheme" }))
    .map((items): GgufValue => ({ type: "array", of: 8, items: items.map((value) => ({ type: "string", value })) }))
  const entries = fc.uniqueArray(
    fc.tuple(
      fc.string().map((key) => `x.${key}`),
      fc.oneof(scalar, strings),
    ),
    { selector: ([key]) => key },
  )
  fc.assert(
    fc.property(entries, (extra) => {
      const metadata = check(tinyLlama({ metadata: [...TINY_LLAMA, ...extra] }))!.ggufMetadata!
      for (const [key, value] of extra) expect(metadata.get(key)).toEqual(plain(value))
    }),
    { numRuns: 100 },
  )
})

function plain(value: GgufValue): unknown {
  if (value.type === "array") return value.items.map(plain)
  return typeof value.value === "bigint" && Number.isSafeInteger(Number(value.value))
    ? Number(value.value)
    : value.value
}
