/** What a stream owes its caller: order, events, planning, counts of memory, recordings. */
import { describe, expect, test } from "bun:test"
import { STATUS } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import { NativeStream } from "../../ffi/stream.ts"
import { randomRows } from "./blocks.ts"
import {
  cpu, hasLibraries, hostBytes, isas, late, libraries, matrix, openLibrary, place, plainPart, TIMEOUT_MS,
} from "./harness.ts"
import { argsOf } from "./place.ts"

const nothing = openLibrary("null")
const withNull: readonly KernelLibrary[] = nothing === null ? libraries : [...libraries, nothing]
const COLS = 64
const POISON = 0xffffffff

/** A row in staging memory. */
class Staging {
  readonly address: number
  readonly values: Float32Array
  readonly bits: Uint32Array

  constructor(stream: NativeStream) {
    this.address = stream.alloc(COLS * 4, "staging")
    const { buffer, byteOffset } = hostBytes(this.address, COLS * 4)
    this.values = new Float32Array(buffer, byteOffset, COLS)
    this.bits = new Uint32Array(buffer, byteOffset, COLS)
  }
}

/** A row in device memory, and where it comes from and goes to. */
class Row {
  readonly device: number
  readonly source: Staging
  readonly target: Staging
  readonly #stream: NativeStream

  constructor(stream: NativeStream) {
    this.#stream = stream
    this.device = stream.alloc(COLS * 4, "device")
    this.source = new Staging(stream)
    this.target = new Staging(stream)
  }

  upload(value: number): void {
    this.source.values.fill(value)
    this.#stream.upload(this.device, this.source.address, COLS * 4)
  }

  download(): void {
    this.#stream.download(this.target.address, this.device, COLS * 4)
  }

  free(): void {
    for (const address of [this.device, this.source.address, this.target.address]) this.#stream.free(address)
  }
}

/** to += from */
function add(stream: NativeStream, from: Row, to: Row): void {
  stream.run("bz_add", argsOf("bz_add", {
    num_tokens: 1, scale: 1, x: matrix(from.device, COLS), y: matrix(to.device, COLS),
  }))
}

/** Fails when it runs: there is no such row. */
function failingOp(stream: NativeStream, row: Row, rows: number): void {
  stream.run("bz_gather_rows", argsOf("bz_gather_rows", {
    num_rows: 1, num_source_rows: 1, x: matrix(row.device, COLS), y: matrix(row.device, COLS), rows,
  }))
}

function withRows(stream: NativeStream, count: number, use: (rows: Row[]) => void): void {
  const rows = Array.from({ length: count }, () => new Row(stream))
  try {
    use(rows)
  } finally {
    stream.synchronize()
    for (const row of rows) row.free()
  }
}

describe.skipIf(!hasLibraries)("work is done in order", () => {
  test("and its results are there after its event", () => {
    for (const library of libraries) {
      const { stream } = place(library)
      withRows(stream, 2, ([a, b]) => {
        const event = stream.createEvent()
        expect(event.isDone()).toBe(true)
        event.synchronize()
        a!.upload(2)
        b!.upload(3)
        add(stream, a!, b!)
        stream.copy(a!.device, b!.device, COLS * 4)
        add(stream, b!, a!)
        a!.download()
        event.record()
        event.synchronize()
        expect(a!.target.values.every((value) => value === 10)).toBe(true)
        expect(event.isDone()).toBe(true)
        event.destroy()
      })
    }
  })

  test("an event that is asked again and again is done in the end", () => {
    for (const library of libraries) {
      const { stream } = place(library)
      withRows(stream, 1, ([a]) => {
        const event = stream.createEvent()
        a!.upload(2)
        a!.download()
        event.record()
        let asked = 1
        while (!event.isDone()) asked++
        expect(asked).toBe(library.traits().isAsync ? 2 : 1)
        expect(a!.target.values[0]).toBe(2)
        event.destroy()
      })
    }
  })

  test("an event waits for what came before it, and marks the later place once it is recorded again", () => {
    const { stream } = place(late!)
    withRows(stream, 2, ([a, b]) => {
      const event = stream.createEvent()
      a!.upload(2)
      a!.download()
      event.record()
      b!.upload(3)
      b!.download()
      event.synchronize()
      expect([a!.target.values[0], b!.target.bits[0]]).toEqual([2, POISON])
      event.record()
      event.synchronize()
      expect(b!.target.values[0]).toBe(3)
      event.destroy()
    })
  })

  test("on a device that is late, a result is not there before", () => {
    const { stream } = place(late!)
    withRows(stream, 1, ([a]) => {
      a!.upload(2)
      stream.synchronize()
      expect(a!.source.bits.every((word) => word === POISON)).toBe(true) // the upload has read it
      a!.target.values.fill(7)
      a!.download()
      expect(a!.target.bits.every((word) => word === POISON)).toBe(true)
      stream.synchronize()
      expect(a!.target.values.every((value) => value === 2)).toBe(true)
    })
  })

  test("on a device that is late, what changes before it is read is read changed", () => {
    const { stream } = place(late!)
    withRows(stream, 1, ([a]) => {
      a!.upload(2)
      a!.source.values.fill(9)
      stream.synchronize()
      a!.download()
      stream.synchronize()
      expect(a!.target.values[0]).toBe(9)
    })
  })

  test("memory of one kind is not the other's", () => {
    const { stream } = place(late!)
    withRows(stream, 1, ([a]) => {
      const [device, staging] = [a!.device, a!.source.address]
      expect(() => stream.upload(staging, device, 4)).toThrow("dst is not device memory of this stream")
      expect(() => stream.upload(device, device + 8, 4)).toThrow("src is not staging memory of this stream")
      expect(() => stream.download(device, staging, 4)).toThrow("dst is not staging memory of this stream")
      expect(() => stream.copy(device, staging, 4)).toThrow("src is not device memory of this stream")
      expect(() => stream.upload(device, staging, COLS * 4 + 1)).toThrow("dst is not device memory of this stream")
    })
  })
})

describe.skipIf(!hasLibraries)("a failure", () => {
  const wrong = (stream: NativeStream): number => {
    const [rows, staging] = [stream.alloc(4, "device"), stream.alloc(4, "staging")]
    hostBytes(staging, 4).fill(9)
    stream.upload(rows, staging, 4)
    stream.synchronize()
    stream.free(staging)
    return rows
  }
  const attempt = (run: () => void): void => {
    try {
      run()
    } catch {
      // Told at once where the op has run.
    }
  }

  test("is told by the first synchronize behind it, and by no other", () => {
    for (const library of libraries) {
      const { stream } = place(library)
      const rows = wrong(stream)
      withRows(stream, 2, ([a, b]) => {
        const [before, behind] = [stream.createEvent(), stream.createEvent()]
        a!.upload(1)
        before.record()
        attempt(() => failingOp(stream, a!, rows))
        b!.upload(2)
        b!.download()
        behind.record()
        before.synchronize()
        expect(() => behind.synchronize()).toThrow(/rows\[0\] is 151587081, x has 1 rows/)
        expect(b!.target.values[0]).toBe(2) // the rest went on
        behind.synchronize()
        stream.synchronize()
        attempt(() => failingOp(stream, a!, rows))
        expect(() => stream.synchronize()).toThrow(/rows\[0\]/)
        before.destroy()
        behind.destroy()
      })
      stream.free(rows)
    }
  })

  test("of the args is told by the call", () => {
    for (const library of libraries) {
      const { stream } = place(library)
      withRows(stream, 1, ([a]) => {
        expect(() => failingOp(stream, a!, 0)).toThrow("gather_rows: rows is NULL")
        stream.synchronize()
      })
    }
  })
})

describe.skipIf(!hasLibraries)("a plan", () => {
  const shape = { n: 100, c: 512, numExperts: 0, compute: "auto" } as const
  const rows = randomRows("Q4_K", shape.n, shape.c, 1)
  const HEADS = { num_heads: 4, num_kv_heads: 2, head_dim: 64, block_size: 16, num_blocks: 400, kv_dtype: 0, causal: 1 }
  const TOKENS = 70
  type Scratchy = (stream: NativeStream, weight: number, memory: number) => void
  const ops: Record<string, Scratchy> = {
    linear: (stream, weight, memory) => stream.run("bz_linear", argsOf("bz_linear", {
      num_tokens: TOKENS, weight, x: matrix(memory, 512), y: matrix(memory + 4e5, 100),
    })),
    attention: (stream, _, memory) => stream.run("bz_attention", argsOf("bz_attention", {
      ...HEADS, num_tokens: 1, num_requests: 1, scale: 1, block_table_stride: 400, q: matrix(memory, 256),
      out: matrix(memory + 4096, 256), query_start: memory + 8192, seq_lens: memory + 12288,
      block_table: memory + 16384, k_cache: memory + 65536, v_cache: memory + 65536,
    })),
    sample: (stream, _, memory) => stream.run("bz_sample", argsOf("bz_sample", {
      num_requests: 2, logits: matrix(memory, 300_000), temperature: memory, top_p: memory, min_p: memory,
      top_k: memory, seeds: memory, positions: memory, out: memory + 3_000_000,
    })),
    rms_norm: (stream, _, memory) => stream.run("bz_rms_norm", argsOf("bz_rms_norm", {
      num_tokens: 2, x: matrix(memory, 512), y: matrix(memory, 512), w: memory,
    })),
  }

  for (const [name, run] of Object.entries(ops))
    test(`tells the scratch memory that ${name} takes`, () => {
      for (const library of withNull)
        for (const isa of library === cpu ? isas : [null]) {
          // A stream of its own: others have taken scratch memory already.
          const stream = NativeStream.create(library, { isa, numThreads: 3 })
          const planned = stream.planWeight(shape, [plainPart({ address: 0, bytes: rows.length, dtype: "Q4_K" }, 100)])
          stream.planBegin()
          run(stream, planned.address, 64) // no such memory: nothing is read
          const bytes = stream.planEnd()
          planned.destroy()
          expect(stream.memory()).toEqual({ device: 0, staging: 0, weights: 0, scratch: 0 })
          if (library === cpu) expect(bytes > 0).toBe(name !== "rms_norm")

          const source = stream.alloc(rows.length, "staging")
          hostBytes(source, rows.length).set(rows)
          const part = plainPart({ address: source, bytes: rows.length, dtype: "Q4_K" }, 100)
          const weight = stream.createWeight(shape, [part])
          const memory = stream.alloc(8 << 20, "device")
          run(stream, weight.address, memory)
          stream.synchronize()
          expect(stream.memory().scratch).toBe(bytes)
          weight.destroy()
          for (const address of [source, memory]) stream.free(address)
          stream.destroy()

          const reserved = NativeStream.create(library, { isa, numThreads: 3 })
          reserved.reserveScratch(bytes)
          expect(reserved.memory().scratch).toBe(bytes)
          reserved.destroy()
        }
    }, TIMEOUT_MS)

  test("is the most demanding op's, and checks all of them", () => {
    for (const library of libraries) {
      const { stream } = place(library, { numThreads: 2 })
      const alone = (op: string): number => {
        stream.planBegin()
        ops[op]!(stream, 0, 64)
        return stream.planEnd()
      }
      const most = Math.max(alone("attention"), alone("sample"))
      stream.planBegin()
      ops["attention"]!(stream, 0, 64)
      ops["sample"]!(stream, 0, 64)
      expect(() => ops["rms_norm"]!(stream, 0, 0)).toThrow("x.data is NULL")
      for (const refused of [() => stream.synchronize(), () => stream.planBegin(), () => stream.captureBegin(),
        () => stream.upload(64, 4096, 8), () => stream.download(64, 4096, 8), () => stream.reserveScratch(0)])
        expect(refused).toThrow(/the stream is planning/)
      expect(stream.planEnd()).toBe(most)
      expect(() => stream.planEnd()).toThrow(/not planning/)
    }
  })
})

describe.skipIf(!hasLibraries)("a recording", () => {
  test("does not run on another stream", () => {
    for (const library of withNull) {
      const one = NativeStream.create(library, { numThreads: 1 })
      const other = NativeStream.create(library, { numThreads: 2 })
      one.captureBegin()
      const graph = one.captureEnd()
      one.launch(graph)
      expect(() => other.launch(graph)).toThrow("another stream recorded the graph")
      for (const stream of [one, other]) stream.synchronize()
      one.destroy()
      const again = NativeStream.create(library, { numThreads: 4 }) // may lie where the first one lay
      expect(() => again.launch(graph)).toThrow("another stream recorded the graph")
      one.destroyGraph(graph)
      for (const stream of [other, again]) stream.destroy()
    }
  })

  test("holds ops and device copies alone", () => {
    for (const library of libraries) {
      const { stream } = place(library)
      withRows(stream, 2, ([a, b]) => {
        const event = stream.createEvent()
        a!.upload(4)
        stream.synchronize()
        stream.captureBegin()
        stream.copy(b!.device, a!.device, COLS * 4)
        add(stream, a!, b!)
        for (const refused of [() => a!.upload(1), () => a!.download(), () => event.record(), () => event.synchronize(),
          () => event.isDone(), () => stream.synchronize()])
          expect(refused).toThrow(/the stream is recording/)
        const graph = stream.captureEnd()
        for (let i = 0; i < 3; i++) stream.launch(graph)
        b!.download()
        stream.destroyGraph(graph) // its launches stay good
        stream.synchronize()
        expect(b!.target.values[0]).toBe(8)
        event.destroy()
      })
    }
  })

  test("that fails is told of like an op", () => {
    const { stream } = place(late!)
    withRows(stream, 1, ([a]) => {
      const rows = stream.alloc(4, "device")
      a!.upload(1)
      stream.captureBegin()
      failingOp(stream, a!, rows)
      failingOp(stream, a!, rows)
      const graph = stream.captureEnd()
      stream.launch(graph) // row 0 is there
      stream.synchronize()
      stream.destroyGraph(graph)
      stream.free(rows)
    })
  })
})

describe.skipIf(!hasLibraries)("memory of a stream", () => {
  test("is counted to the byte, with weights that outlive it", () => {
    for (const library of withNull) {
      const stream = NativeStream.create(library, { numThreads: 1 })
      expect(stream.memory()).toEqual({ device: 0, staging: 0, weights: 0, scratch: 0 })
      const device = [1, 100, 1 << 20, 0].map((bytes) => stream.alloc(bytes, "device"))
      const staging = stream.alloc(4096, "staging")
      expect(stream.memory()).toMatchObject({ device: 101 + (1 << 20), staging: 4096 })
      hostBytes(staging, 4096).fill(0)
      const shape = { n: 16, c: 64, numExperts: 0, compute: "auto" } as const
      const weight = stream.createWeight(shape, [plainPart({ address: staging, bytes: 4096, dtype: "F32" }, 16)])
      expect(stream.memory().weights).toBe(weight.info().bytes)
      stream.free(device[1]!)
      stream.free(0)
      expect(stream.memory()).toMatchObject({ device: 1 + (1 << 20), staging: 4096 })
      for (const address of [device[0]!, device[2]!, device[3]!, staging]) stream.free(address)
      expect(stream.memory()).toMatchObject({ device: 0, staging: 0 })
      stream.destroy()
      weight.destroy()
    }
  })

  test("that cannot be touched ends the process of who touches it", () => {
    const script = (body: string): string => `
      import { KernelLibrary } from "${import.meta.dir}/../../ffi/library.ts"
      import { NativeStream } from "${import.meta.dir}/../../ffi/stream.ts"
      import { hostBytes } from "${import.meta.dir}/place.ts"
      import { preloadLibraries } from "${import.meta.dir}/../../ffi/preload.ts"
      import { locateLibraries } from "${import.meta.dir}/../../src/cli/libraries.ts"
      preloadLibraries(locateLibraries().preload)
      const stream = NativeStream.create(KernelLibrary.open("${late!.path}"), { numThreads: 1 })
      const [device, source, target] = ["device", "staging", "staging"].map((kind) => stream.alloc(64, kind))
      hostBytes(source, 64).fill(5)
      stream.upload(device, source, 64)
      stream.download(target, device, 64)
      stream.synchronize()
      console.log(hostBytes(target, 64)[63])
      ${body}
      console.log("unharmed")`
    const run = (body: string, protect: string) => Bun.spawnSync([process.execPath, "-e", script(body)], {
      env: { ...process.env, BAOZI_ASYNC_PROTECT: protect }, timeout: TIMEOUT_MS,
    })
    const peek = "console.log(hostBytes(device, 64)[0])"
    expect(run("", "1").stdout.toString()).toBe("5\nunharmed\n")
    expect(run(peek, "0").stdout.toString()).toBe("5\n5\nunharmed\n")
    const caught = run(peek, "1")
    expect(caught.stdout.toString()).not.toContain("unharmed")
    expect(caught.exitCode).not.toBe(0)
  }, TIMEOUT_MS)

  test("of the device is the system's to tell of, where it is the host's", () => {
    for (const library of withNull) {
      const { stream } = place(library)
      const { symbols } = library
      const args = new Args("deviceMemory")
      expect(symbols.bz_device_memory(stream.address, args.address)).toBe(STATUS.unsupported)
    }
  })
})
