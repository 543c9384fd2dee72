import { describe, expect, test } from "bun:test"
import { toArrayBuffer, type Pointer } from "bun:ffi"
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ABI_VERSION, SYMBOLS } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import { describeLayout, STRUCTS } from "../../ffi/structs.ts"
import { cpu, hasLibraries, isas, normals, place, reference, refusals, TIMEOUT_MS, type Place } from "./harness.ts"

const header = readFileSync(resolve(import.meta.dir, "../../native/include/baozi.h"), "utf8")

test("every symbol of the header is in the symbol table", () => {
  const declared = [...header.matchAll(/^BZ_API \w+ (bz_\w+)\(/gm)].map((match) => match[1] as string)
  expect(declared.length).toBeGreaterThan(20)
  expect(declared.sort()).toEqual(Object.keys(SYMBOLS).sort())
})

/**
 * What is resident of the mapping that holds `address`. The process's own figure would not do: what else the suite
 * gives back to the system meanwhile is in it.
 */
function residentBytes(address: number): number {
  for (const mapping of readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [start, end] = mapping.split(/[- ]/, 2).map((bound) => parseInt(bound, 16))
    if (start! <= address && address < end!) return Number(/^Rss: +(\d+) kB$/m.exec(mapping)![1]) * 1024
  }
  throw new Error(`nothing is mapped at ${address.toString(16)}`)
}

describe.skipIf(!hasLibraries)("the host libraries", () => {
  const libraries = [reference!, cpu!]

  test("lay argument structs out as the writer does", () => {
    const expected = Object.values(STRUCTS).map(describeLayout).sort()
    for (const library of libraries) expect(library.layout().trim().split("\n").sort()).toEqual(expected)
  })

  test("say what they are", () => {
    expect(libraries.map((library) => library.symbols.bz_abi_version())).toEqual([ABI_VERSION, ABI_VERSION])
    expect(reference!.score()).toBeGreaterThan(0)
    expect(cpu!.score()).toBeGreaterThan(reference!.score())
    const info = cpu!.info()
    expect(info).toMatchObject({ name: "cpu", isa: isas[isas.length - 1] })
    expect(info["cores"]).toBeGreaterThan(0)
    expect(isas).toContain("scalar")
  })

  test("say which dtypes an op takes", () => {
    for (const library of libraries) {
      expect(library.supports("attention", "BF16")).toBe(true)
      expect(library.supports("attention", "I8")).toBe(false)
      expect(library.supports("linear", "Q4_K")).toBe(true)
      expect(library.supports("linear", "I32")).toBe(false)
      expect(library.supports("nothing", "F32")).toBe(false)
    }
  })

  test("refuse an instruction set they lack, and list those they have", () => {
    expect(() => cpu!.createStream({ isa: "mmx" })).toThrow(/unknown isa "mmx"; this processor has: scalar/)
    const foreign = process.arch === "x64" ? "neon" : "avx2"
    expect(() => cpu!.createStream({ isa: foreign })).toThrow(/lacks isa .* it has: scalar/)
    expect(() => reference!.createStream({ isa: "avx2" })).toThrow(/has: scalar/)
  })

  test("give zeroed, aligned memory and copy it", () => {
    const at = place(cpu!, { numThreads: 2 })
    for (const bytes of [1, 64, 4096, 3 << 20]) {
      const address = at.stream.alloc(bytes, "device")
      expect(address % 64).toBe(0)
      const view = new Uint8Array(toArrayBuffer(address as Pointer, 0, bytes))
      expect(view.every((byte) => byte === 0)).toBe(true)
      const from = at.put(Uint8Array.from({ length: bytes }, (_, i) => i * 7))
      at.stream.copy(address, from.at, bytes)
      expect(Buffer.compare(view, from)).toBe(0)
      at.stream.free(address)
    }
    expect(() => at.stream.alloc(2 ** 52, "device")).toThrow(/no memory/)
    at.close()
  })

  test("have the system give pages early, and keep what is in them", () => {
    const bytes = 32 << 20
    for (const library of libraries) {
      const at = place(library)
      const address = at.stream.alloc(bytes, "device")
      const view = new Uint8Array(toArrayBuffer(address as Pointer, 0, bytes))
      view[5] = 7
      expect(residentBytes(address)).toBeLessThanOrEqual(4 << 20)
      at.stream.touch(address, bytes)
      expect(residentBytes(address)).toBeGreaterThanOrEqual(bytes)
      expect([view[5], view.subarray(6).some((byte) => byte !== 0)]).toEqual([7, false])
      at.stream.touch(address, 0)
      expect(() => at.stream.touch(0, 1)).toThrow(/data is NULL/)
      at.stream.free(address)
      at.close()
    }
  })

  test("map files, and say why they cannot", () => {
    for (const library of libraries) {
      const file = library.mapFile(resolve(import.meta.dir, "library.test.ts"))
      expect(new TextDecoder().decode(file.bytes())).toContain("map files, and say why")
      file.release(0, file.size)
      expect(new TextDecoder().decode(file.bytes())).toStartWith("import")
      file.unmap()
      expect(() => library.mapFile("/nowhere/at/all")).toThrow(/\/nowhere\/at\/all: No such file/)
      expect(() => library.mapFile(import.meta.dir)).toThrow(/not a file/)
    }
  })
})

describe.skipIf(!hasLibraries)("a mapped file that becomes shorter", () => {
  test("reads as zeros behind its end, and that is told; other maps are well", () => {
    const dir = mkdtempSync(join(tmpdir(), "baozi-map-"))
    const path = join(dir, "file")
    for (const library of [reference!, cpu!]) {
      writeFileSync(path, Buffer.alloc(300_000, 7))
      const file = library.mapFile(path)
      const other = library.mapFile(resolve(import.meta.dir, "library.test.ts"))
      truncateSync(path, 5000)
      const bytes = file.bytes()
      expect([bytes[0], bytes[4999], bytes[299_999], bytes[100_000]]).toEqual([7, 7, 0, 0])
      expect(() => file.release(0, 4096)).toThrow(`${path}: the file became shorter while it was read`)
      expect(new TextDecoder().decode(other.bytes())).toStartWith("import")
      other.release(0, other.size)
      other.unmap()
      file.unmap()
      const again = library.mapFile(path)
      expect(again.size).toBe(5000)
      again.release(0, 5000)
      again.unmap()
    }
    rmSync(dir, { recursive: true })
  })
})

/** x -> rms_norm -> gated_act -> add to y: three ops that depend on each other, through two threads. */
function chain(at: Place): { run: () => void; x: Float32Array; y: Float32Array } {
  const [t, f] = [3, 512]
  const x = at.put(normals(1, t * 2 * f))
  const w = at.put(normals(2, 2 * f))
  const h = at.put(new Float32Array(t * 2 * f))
  const y = at.put(new Float32Array(t * f))
  const run = (): void => {
    at.run("bz_rms_norm", {
      num_tokens: t, c: 2 * f, eps: 1e-5, x: x.at, w: w.at, y: h.at, x_stride: 2 * f, y_stride: 2 * f,
    })
    at.run("bz_gated_act", { num_tokens: t, f, act: 0, x: h.at, y: h.at, x_stride: 2 * f, y_stride: 2 * f })
    at.run("bz_add", { num_tokens: t, c: f, scale: 1, x: h.at, y: y.at, x_stride: 2 * f, y_stride: f })
  }
  return { run, x, y }
}

describe.skipIf(!hasLibraries)("a recorded step", () => {
  for (const numThreads of [1, 2, 3, 8])
    test(`gives what its ops give one by one, ${numThreads} threads`, () => {
      for (const library of [reference!, cpu!]) {
        const at = place(library, { numThreads })
        const one = chain(at)
        one.run()
        const two = chain(at)
        at.stream.captureBegin()
        two.run()
        const graph = at.stream.captureEnd()
        expect(two.y.every((value) => value === 0)).toBe(true) // recorded, not run
        at.stream.launch(graph)
        expect([...two.y]).toEqual([...one.y])
        two.x.set(normals(9, two.x.length)) // inputs change in place
        one.x.set(normals(9, one.x.length))
        for (let i = 0; i < 200; i++) {
          one.run()
          at.stream.launch(graph)
        }
        expect([...two.y]).toEqual([...one.y])
        at.stream.destroyGraph(graph)
        at.close()
      }
    }, TIMEOUT_MS)

  test("reports an op's failure and runs again", () => {
    for (const library of [reference!, cpu!]) {
      const at = place(library, { numThreads: 2 })
      const x = at.put(normals(1, 64))
      const y = at.put(new Float32Array(64))
      const rows = at.put(Int32Array.of(4))
      at.stream.captureBegin()
      at.run("bz_gather_rows", {
        num_rows: 1, c: 16, num_source_rows: 4, x: x.at, y: y.at, x_stride: 16, y_stride: 16, rows: rows.at,
      })
      const graph = at.stream.captureEnd()
      expect(() => at.stream.launch(graph)).toThrow(/rows\[0\] is 4, x has 4 rows/)
      expect(() => at.stream.synchronize()).toThrow()
      at.stream.synchronize() // reported once
      rows[0] = 3
      at.stream.launch(graph)
      expect([...y.subarray(0, 16)]).toEqual([...x.subarray(48, 64)])
      at.stream.destroyGraph(graph)
      at.close()
    }
  })

  test("is not begun twice, ended before it began, or launched inside another", () => {
    const at = place(cpu!, { numThreads: 1 })
    expect(() => at.stream.captureEnd()).toThrow(/not recording/)
    at.stream.captureBegin()
    expect(() => at.stream.captureBegin()).toThrow(/recording already/)
    const graph = at.stream.captureEnd()
    at.stream.captureBegin()
    expect(() => at.stream.launch(graph)).toThrow(/recording/)
    at.stream.destroyGraph(at.stream.captureEnd())
    at.stream.launch(graph) // an empty step
    at.stream.destroyGraph(graph)
  })
})

describe.skipIf(!hasLibraries)("bad arguments are refused with words", () => {
  const some = (at: Place): number => at.put(new Float32Array(4096)).at
  const int = (at: Place, ...values: number[]): number => at.put(Int32Array.from(values)).at
  const cache = (at: Place): { k_cache: number; v_cache: number } => ({ k_cache: some(at), v_cache: some(at) })
  const heads = { num_heads: 2, num_kv_heads: 1, head_dim: 16, block_size: 16, num_blocks: 2, kv_dtype: 0 }

  const cases: [string, number, RegExp, (at: Place) => void][] = [
    ["rms_norm without x", 1, /rms_norm: x is NULL/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 1, c: 4, w: some(at), y: some(at) })],
    ["rms_norm with a short stride", 1, /x_stride is 3, rows have 4/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 2, c: 4, x: some(at), w: some(at), y: some(at), x_stride: 3, y_stride: 4 })],
    ["gated_act of an unknown kind", 1, /unknown act 9/, (at) =>
      at.run("bz_gated_act", { num_tokens: 1, f: 4, act: 9, x: some(at), y: some(at) })],
    ["attention over an int8 cache", 2, /kv_dtype is i8/, (at) =>
      at.run("bz_attention", { ...heads, kv_dtype: 4, num_tokens: 1, num_requests: 1 })],
    ["attention with head size 12", 1, /head_dim is 12, must be a multiple of 8/, (at) =>
      at.run("bz_attention", { ...heads, head_dim: 12, num_tokens: 1, num_requests: 1 })],
    ["attention with 3 heads on 2", 1, /num_heads is 3, must be a multiple/, (at) =>
      at.run("bz_attention", { ...heads, num_heads: 3, num_kv_heads: 2, num_tokens: 1, num_requests: 1 })],
    ["attention over an unknown block", 1, /block_table\[0, 0\] is 2, the cache has 2 blocks/, (at) =>
      at.run("bz_attention", {
        ...heads, ...cache(at), num_tokens: 1, num_requests: 1, causal: 1, scale: 1, block_table_stride: 1, q: some(at),
        out: some(at), query_start: int(at, 0, 1), seq_lens: int(at, 5), block_table: int(at, 2),
      })],
    ["attention past its block table", 1, /seq_lens/, (at) =>
      at.run("bz_attention", {
        ...heads, ...cache(at), num_tokens: 1, num_requests: 1, causal: 1, scale: 1, block_table_stride: 1, q: some(at),
        out: some(at), query_start: int(at, 0, 1), seq_lens: int(at, 17), block_table: int(at, 0),
      })],
    ["rope_kv at a position past the table", 1, /positions\[0\] is 8, the table has 8/, (at) =>
      at.run("bz_rope_kv", {
        ...heads, num_tokens: 1, rot_dim: 8, num_positions: 8, qkv: some(at), positions: int(at, 8), cos_sin: some(at),
      })],
    ["rope_kv at a slot past the cache", 1, /slots\[0\] is 32, the cache has 32/, (at) =>
      at.run("bz_rope_kv", { ...heads, ...cache(at), num_tokens: 1, qkv: some(at), slots: int(at, 32) })],
    ["sample without seeds", 1, /seeds is NULL/, (at) =>
      at.run("bz_sample", {
        num_requests: 1, vocab_size: 4, logits: some(at), temperature: some(at), top_p: some(at), min_p: some(at),
        top_k: int(at, 0), positions: int(at, 0), out: int(at, 0),
      })],
    ["logprobs of an unknown id", 1, /ids\[0\] is 4, not in \[0, 4\)/, (at) =>
      at.run("bz_logprobs", {
        num_requests: 1, vocab_size: 4, logits: some(at), ids: int(at, 4), out_logprob: some(at), out_rank: int(at, 0),
      })],
  ]
  for (const [name, status, words, run] of cases)
    test(name, () => {
      for (const refusal of refusals(run)) {
        expect(refusal.words).toMatch(words)
        expect(refusal.status).toBe(status)
      }
    })

  test("a struct of another size", () => {
    for (const library of [reference!, cpu!]) {
      const at = place(library)
      const args = new Args("add")
      args.setField("args_bytes" as never, 8)
      expect(library.symbols.bz_add(at.stream.address, args.address)).toBe(4)
      expect(library.lastError()).toMatch(/args_bytes is 8, this library has 48/)
    }
  })

  test("nothing to do is done", () => {
    for (const library of [reference!, cpu!]) {
      const at = place(library)
      at.run("bz_add", { num_tokens: 0, c: 4 })
      at.run("bz_rms_norm", { num_tokens: 0, c: 4 })
      at.run("bz_gather_rows", { num_rows: 0, c: 4 })
      at.run("bz_sample", { num_requests: 0, vocab_size: 4 })
      at.run("bz_attention", { ...heads, num_tokens: 0, num_requests: 0 })
    }
  })
})
