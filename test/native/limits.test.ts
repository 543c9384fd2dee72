import { describe, expect, test } from "bun:test"
import { cpu, hasLibraries, isas, place, reference, TIMEOUT_MS } from "./harness.ts"

describe.skipIf(!hasLibraries)("the machine's limits", () => {
  test("are measured at every level and thread count", () => {
    for (const isa of isas)
      for (const numThreads of [1, 3]) {
        const { stream } = place(cpu!, { isa, numThreads })
        expect(stream.measureRead(100_000, 1)).toBeGreaterThan(1e6)
        expect(stream.measureProducts("F32", false, 1)).toBeGreaterThan(1e6)
        expect(stream.measureProducts("I8", false, 1)).toBeGreaterThan(1e6)
        const hasBf16 = isa === "avx512_vnni" || isa === "amx"
        expect(stream.measureProducts("BF16", false, 1) !== null).toBe(hasBf16)
      }
  }, TIMEOUT_MS)

  test("can be held against the library's own", () => {
    expect(place(cpu!, { numThreads: 2 }).stream.measureProducts("F32", true, 1)).toBeGreaterThan(1e6)
  }, TIMEOUT_MS)

  test("of a wrong size, a wrong type or a wrong time are refused, and the reference has none", () => {
    const { stream } = place(cpu!, { numThreads: 2 })
    expect(() => stream.measureRead(100, 1)).toThrow("measure_read: 100 bytes, must be at least 2048")
    expect(() => stream.measureRead(4096, 0)).toThrow("0 milliseconds, must be 1 to 60000")
    expect(() => stream.measureProducts("F16" as "F32", false, 1)).toThrow("dtype 1, must be BZ_F32, BZ_BF16 or BZ_I8")
    expect(() => place(reference!).stream.measureRead(4096, 1)).toThrow("not in the reference library")
    expect(place(reference!).stream.measureProducts("F32", false, 1)).toBeNull()
  })
})
