import { describe, expect, test } from "bun:test"
import { MappedFile } from "../../ffi/mapped-file.ts"
import { NativeStream } from "../../ffi/stream.ts"
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ABI_VERSION } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import { describeLayout, STRUCTS } from "../../ffi/structs.ts"
import { SYMBOLS } from "../../ffi/symbols.ts"
import {
  cpu, hasLibraries, hostBytes, isas, late, libraries, matrix, normals, place, reference, refusals, TIMEOUT_MS,
  type Place,
} from "./harness.ts"

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
  test("lay argument structs out as the writer does", () => {
    const expected = Object.values(STRUCTS).map(describeLayout).sort()
    for (const library of libraries) expect(library.layout().trim().split("\n").sort()).toEqual(expected)
  })

  test("say what they are", () => {
    for (const library of libraries) expect(library.symbols.bz_abi_version()).toBe(ABI_VERSION)
    expect(reference!.score()).toBeGreaterThan(0)
    expect(cpu!.score()).toBeGreaterThan(Math.max(reference!.score(), late!.score()))
    expect(late!.info()).toEqual({ ...cpu!.info(), name: "async" })
    const info = cpu!.info()
    expect(info).toMatchObject({ name: "cpu", isa: isas[isas.length - 1] })
    expect(info["cores"]).toBeGreaterThan(0)
    expect(isas).toContain("scalar")
  })

  test("say what differs from device to device", () => {
    expect(cpu!.traits()).toEqual({
      activationType: "F32", isAsync: false, alignment: 64, sliceTokens: 128, logitRows: 32, maxGraphs: 512,
      captureRows: 1, kvTypes: ["F32", "BF16"], blockMultiple: 16,
    })
    expect(late!.traits()).toEqual({
      ...cpu!.traits(), isAsync: true, alignment: 256, sliceTokens: 0, maxGraphs: 16, captureRows: 8,
    })
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
    expect(() => NativeStream.create(cpu!, { isa: "mmx" })).toThrow(/unknown isa "mmx"; this processor has: scalar/)
    const foreign = process.arch === "x64" ? "neon" : "avx2"
    expect(() => NativeStream.create(cpu!, { isa: foreign })).toThrow(/lacks isa .* it has: scalar/)
    expect(() => NativeStream.create(reference!, { isa: "avx2" })).toThrow(/has: scalar/)
  })

  test("give zeroed, aligned memory and copy it", () => {
    for (const library of libraries) {
      const { stream } = place(library, { numThreads: 2 })
      const before = stream.memory()
      for (const bytes of [1, 64, 4096, 3 << 20]) {
        const kinds = ["staging", "device", "device", "staging"] as const
        const [from, one, two, to] = kinds.map((kind) => stream.alloc(bytes, kind)) as [number, number, number, number]
        expect(stream.memory()).toEqual({
          ...before, device: before.device + 2 * bytes, staging: before.staging + 2 * bytes,
        })
        for (const address of [from, one, two, to]) expect(address % library.traits().alignment).toBe(0)
        const fetch = (address: number): Uint8Array => {
          stream.download(to, address, bytes)
          stream.synchronize()
          return hostBytes(to, bytes)
        }
        expect(fetch(two).every((byte) => byte === 0)).toBe(true)
        const values = Uint8Array.from({ length: bytes }, (_, i) => i * 7)
        hostBytes(from, bytes).set(values)
        stream.upload(one, from, bytes)
        stream.copy(two, one, bytes)
        expect(Buffer.compare(fetch(two), values)).toBe(0)
        for (const address of [from, one, two, to]) stream.free(address)
        expect(stream.memory()).toEqual(before)
      }
      expect(() => stream.alloc(2 ** 52, "device")).toThrow(/no memory/)
      expect(stream.memory()).toEqual(before)
    }
  })

  test("have the system give pages early, and keep what is in them", () => {
    const bytes = 32 << 20
    for (const library of libraries) {
      const { stream } = place(library)
      const address = stream.alloc(bytes, "staging")
      const view = hostBytes(address, bytes)
      view[5] = 7
      expect(residentBytes(address)).toBeLessThanOrEqual(4 << 20)
      stream.touch(address, bytes)
      expect(residentBytes(address)).toBeGreaterThanOrEqual(bytes)
      expect([view[5], view.subarray(6).some((byte) => byte !== 0)]).toEqual([7, false])
      stream.touch(address, 0)
      expect(() => stream.touch(0, 1)).toThrow(/data is NULL/)
      stream.free(address)
    }
  })

  test("map files, and say why they cannot", () => {
    for (const library of libraries) {
      const file = MappedFile.open(library, resolve(import.meta.dir, "library.test.ts"))
      expect(new TextDecoder().decode(file.bytes())).toContain("map files, and say why")
      file.release(0, file.size)
      expect(new TextDecoder().decode(file.bytes())).toStartWith("import")
      file.unmap()
      expect(() => MappedFile.open(library, "/nowhere/at/all")).toThrow(/\/nowhere\/at\/all: No such file/)
      expect(() => MappedFile.open(library, import.meta.dir)).toThrow(/not a file/)
    }
  })
})

describe.skipIf(!hasLibraries)("a mapped file that becomes shorter", () => {
  test("reads as zeros behind its end, and that is told; other maps are well", () => {
    const dir = mkdtempSync(join(tmpdir(), "baozi-map-"))
    const path = join(dir, "file")
    for (const library of libraries) {
      writeFileSync(path, Buffer.alloc(300_000, 7))
      const file = MappedFile.open(library, path)
      const other = MappedFile.open(library, resolve(import.meta.dir, "library.test.ts"))
      truncateSync(path, 5000)
      const bytes = file.bytes()
      expect([bytes[0], bytes[4999], bytes[299_999], bytes[100_000]]).toEqual([7, 7, 0, 0])
      expect(() => file.release(0, 4096)).toThrow(`${path}: the file became shorter while it was read`)
      expect(new TextDecoder().decode(other.bytes())).toStartWith("import")
      other.release(0, other.size)
      other.unmap()
      file.unmap()
      const again = MappedFile.open(library, path)
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
      num_tokens: t, eps: 1e-5, x: matrix(x, 2 * f), w: w.at, y: matrix(h, 2 * f),
    })
    at.run("bz_gated_act", { num_tokens: t, act: 0, x: matrix(h, 2 * f), y: matrix(h, f, 2 * f) })
    at.run("bz_add", { num_tokens: t, scale: 1, x: matrix(h, f, 2 * f), y: matrix(y, f) })
  }
  return { run, x, y }
}

describe.skipIf(!hasLibraries)("a recorded step", () => {
  for (const numThreads of [1, 2, 3, 8])
    test(`gives what its ops give one by one, ${numThreads} threads`, () => {
      for (const library of libraries) {
        const at = place(library, { numThreads })
        const one = chain(at)
        one.run()
        const two = chain(at)
        const graph = at.capture(two.run)
        expect(two.y.every((value) => value === 0)).toBe(true) // recorded, not run
        at.launch(graph)
        expect([...two.y]).toEqual([...one.y])
        two.x.set(normals(9, two.x.length)) // inputs change in place
        one.x.set(normals(9, one.x.length))
        for (let i = 0; i < 200; i++) {
          one.run()
          at.launch(graph)
        }
        expect([...two.y]).toEqual([...one.y])
        at.stream.destroyGraph(graph)
        at.close()
      }
    }, TIMEOUT_MS)

  test("reports an op's failure and runs again", () => {
    for (const library of libraries) {
      const at = place(library, { numThreads: 2 })
      const x = at.put(normals(1, 64))
      const y = at.put(new Float32Array(64))
      const rows = at.put(Int32Array.of(4))
      const graph = at.capture(() => at.run("bz_gather_rows", {
        num_rows: 1, num_source_rows: 4, x: matrix(x, 16), y: matrix(y, 16), rows: rows.at,
      }))
      expect(() => at.launch(graph)).toThrow(/rows\[0\] is 4, x has 4 rows/)
      if (!library.traits().isAsync) expect(() => at.stream.synchronize()).toThrow(/rows\[0\] is 4/)
      at.stream.synchronize() // reported once
      rows[0] = 3
      at.launch(graph)
      expect([...y.subarray(0, 16)]).toEqual([...x.subarray(48, 64)])
      at.stream.destroyGraph(graph)
      at.close()
    }
  })

  test("is not begun twice, ended before it began, or launched inside another", () => {
    for (const library of libraries) {
      const { stream } = place(library, { numThreads: 1 })
      expect(() => stream.captureEnd()).toThrow(/not recording/)
      stream.captureBegin()
      expect(() => stream.captureBegin()).toThrow(/is recording/)
      expect(() => stream.planBegin()).toThrow(/is recording/)
      expect(() => stream.synchronize()).toThrow(/is recording/)
      const graph = stream.captureEnd()
      stream.captureBegin()
      expect(() => stream.launch(graph)).toThrow(/recording/)
      stream.destroyGraph(stream.captureEnd())
      stream.launch(graph) // an empty step
      stream.synchronize()
      stream.destroyGraph(graph)
    }
  })
})

describe.skipIf(!hasLibraries)("bad arguments are refused with words", () => {
  const some = (at: Place): number => at.put(new Float32Array(4096)).at
  const int = (at: Place, ...values: number[]): number => at.put(Int32Array.from(values)).at
  const cache = (at: Place): { k_cache: number; v_cache: number } => ({ k_cache: some(at), v_cache: some(at) })
  const heads = { num_heads: 2, num_kv_heads: 1, head_dim: 16, block_size: 16, num_blocks: 2, kv_dtype: 0 }

  const cases: [string, number, RegExp, (at: Place) => void][] = [
    ["rms_norm without x", 1, /rms_norm: x.data is NULL/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 1, x: matrix(0, 4), w: some(at), y: matrix(some(at), 4) })],
    ["rms_norm with a short stride", 1, /x.stride is 3, rows have 4/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 2, x: matrix(some(at), 4, 3), w: some(at), y: matrix(some(at), 4) })],
    ["rms_norm with rows of two lengths", 1, /y.cols is 5, must be 4/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 2, x: matrix(some(at), 4), w: some(at), y: matrix(some(at), 5) })],
    ["rms_norm of integers", 1, /x.dtype is i32, which this library does not compute in/, (at) =>
      at.run("bz_rms_norm", { num_tokens: 2, x: { ...matrix(some(at), 4), dtype: "I32" }, w: some(at) })],
    ["gated_act of an unknown kind", 1, /unknown act 9/, (at) =>
      at.run("bz_gated_act", { num_tokens: 1, act: 9, x: matrix(some(at), 8), y: matrix(some(at), 4) })],
    ["softcap at 0", 1, /softcap: cap is 0, must be finite and > 0/, (at) =>
      at.run("bz_softcap", { num_tokens: 1, cap: 0, x: matrix(some(at), 4), y: matrix(some(at), 4) })],
    ["gated_act of half its input", 1, /x.cols is 4, must be 8/, (at) =>
      at.run("bz_gated_act", { num_tokens: 1, x: matrix(some(at), 4), y: matrix(some(at), 4) })],
    ["attention over an int8 cache", 2, /kv_dtype is i8/, (at) =>
      at.run("bz_attention", { ...heads, kv_dtype: 4, num_tokens: 1, num_requests: 1 })],
    ["attention with head size 12", 1, /head_dim is 12, must be a multiple of 8/, (at) =>
      at.run("bz_attention", { ...heads, head_dim: 12, num_tokens: 1, num_requests: 1 })],
    ["attention with 3 heads on 2", 1, /num_heads is 3, must be a multiple/, (at) =>
      at.run("bz_attention", { ...heads, num_heads: 3, num_kv_heads: 2, num_tokens: 1, num_requests: 1 })],
    ["attention over an unknown block", 1, /block_table\[0, 0\] is 2, the cache has 2 blocks/, (at) =>
      at.run("bz_attention", {
        ...heads, ...cache(at), num_tokens: 1, num_requests: 1, causal: 1, scale: 1, block_table_stride: 1,
        q: matrix(some(at), 32), out: matrix(some(at), 32),
        query_start: int(at, 0, 1), seq_lens: int(at, 5), block_table: int(at, 2),
      })],
    ["attention past its block table", 1, /seq_lens/, (at) =>
      at.run("bz_attention", {
        ...heads, ...cache(at), num_tokens: 1, num_requests: 1, causal: 1, scale: 1, block_table_stride: 1,
        q: matrix(some(at), 32), out: matrix(some(at), 32),
        query_start: int(at, 0, 1), seq_lens: int(at, 17), block_table: int(at, 0),
      })],
    ["rope_kv at a position past the table", 1, /positions\[0\] is 8, the table has 8/, (at) =>
      at.run("bz_rope_kv", {
        ...heads, num_tokens: 1, rot_dim: 8, num_positions: 8, qkv: matrix(some(at), 64), positions: int(at, 8),
        cos_sin: some(at),
      })],
    ["rope_kv at a slot past the cache", 1, /slots\[0\] is 32, the cache has 32/, (at) =>
      at.run("bz_rope_kv", { ...heads, ...cache(at), num_tokens: 1, qkv: matrix(some(at), 64), slots: int(at, 32) })],
    ["sample without seeds", 1, /seeds is NULL/, (at) =>
      at.run("bz_sample", {
        num_requests: 1, logits: matrix(some(at), 4), temperature: some(at), top_p: some(at), min_p: some(at),
        top_k: int(at, 0), positions: int(at, 0), out: int(at, 0),
      })],
    ["logprobs of an unknown id", 1, /ids\[0\] is 4, not in \[0, 4\)/, (at) =>
      at.run("bz_logprobs", {
        num_requests: 1, logits: matrix(some(at), 4), ids: int(at, 4), out_logprob: some(at), out_rank: int(at, 0),
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
    for (const library of libraries) {
      const at = place(library)
      const args = new Args("bz_add")
      args.setField("args_bytes" as never, 8)
      expect(library.symbols.bz_add(at.stream.address, args.address)).toBe(4)
      expect(library.lastError()).toMatch(/args_bytes is 8, this library has 64/)
    }
  })

  test("nothing to do is done", () => {
    for (const library of libraries) {
      const at = place(library)
      at.run("bz_add", { num_tokens: 0 })
      at.run("bz_rms_norm", { num_tokens: 0 })
      at.run("bz_gather_rows", { num_rows: 0 })
      at.run("bz_scatter_ids", { num_ids: 0 })
      at.run("bz_check_finite", { num_rows: 0 })
      at.run("bz_sample", { num_requests: 0 })
      at.run("bz_attention", { ...heads, num_tokens: 0, num_requests: 0 })
    }
  })
})
