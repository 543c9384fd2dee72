/** The ops that carry a state from token to token. */
import { describe, expect, test } from "bun:test"
import {
  compare, cpu, hasLibraries, isas, matrix, normals, place, refusals, TIMEOUT_MS, type Place,
} from "./harness.ts"

// Sums of a few terms, and exponentials good to 2 ulp, against float64; states are rounded to float32 at every token.
const BOUND = 1e-12

/** Of each request: its rows, the slot it starts from (-1: none), the slot it leaves its state in. */
type Requests = readonly (readonly [rows: number, read: number, write: number])[]

const NUM_SLOTS = 7
const REQUESTS: Readonly<Record<string, Requests>> = {
  "one token": [[1, -1, 1]],
  "decode": [[1, 2, 2], [1, 3, 4], [1, -1, 5]],
  "a prompt": [[19, -1, 1]],
  "mixed, an empty one": [[5, 1, 2], [0, -1, -1], [1, 3, 3], [30, -1, 6], [2, 0, 5]],
}

function starts(at: Place, requests: Requests) {
  const queryStart = new Int32Array(requests.length + 1)
  requests.forEach(([rows], r) => (queryStart[r + 1] = queryStart[r]! + rows))
  return {
    rows: queryStart[requests.length]!,
    args: {
      num_requests: requests.length, num_slots: NUM_SLOTS, query_start: at.put(queryStart).at,
      read_slots: at.put(Int32Array.from(requests, ([, read]) => read)).at,
      write_slots: at.put(Int32Array.from(requests, ([, , write]) => write)).at,
    },
  }
}

interface Conv {
  readonly cols: number
  readonly taps: number
  readonly silu: boolean
  readonly bias: boolean
  readonly inPlace?: boolean
  readonly padding?: number
}

function runConv(at: Place, v: Conv, requests: Requests): Float32Array {
  const { rows, args } = starts(at, requests)
  const [t, stride, state_stride] = [rows + (v.padding ?? 0), v.cols + 3, (v.taps - 1) * v.cols + 5]
  const x = at.put(normals(1, t * stride))
  const y = at.put(new Float32Array(t * stride).fill(7))
  const state = at.put(normals(2, NUM_SLOTS * state_stride))
  at.run("bz_causal_conv", {
    ...args, num_tokens: t, num_taps: v.taps, silu: v.silu ? 1 : 0, state_stride, x: matrix(x, v.cols, stride),
    y: matrix(v.inPlace ? x : y, v.cols, stride), w: at.put(normals(3, v.taps * v.cols)).at,
    bias: v.bias ? at.put(normals(4, v.cols)).at : 0, state: state.at,
  })
  return Float32Array.from([...x, ...y, ...state])
}

interface Scan {
  readonly heads: number
  readonly p: number
  readonly n: number
  readonly groups: number
  readonly perState?: boolean
  readonly bias?: boolean
  readonly gate?: boolean
  readonly limit?: readonly [number, number]
  readonly inPlace?: boolean
  readonly padding?: number
}

function runScan(at: Place, v: Scan, requests: Requests): Float32Array {
  const { rows, args } = starts(at, requests)
  const [t, channels, state_stride] = [rows + (v.padding ?? 0), v.heads * v.p, v.heads * v.p * v.n + 3]
  const stride = channels + 2
  const x = at.put(normals(1, t * stride))
  const y = at.put(new Float32Array(t * stride).fill(7))
  const z = at.put(normals(2, t * stride))
  const [b, c] = [at.put(normals(3, t * v.groups * v.n)), at.put(normals(4, t * v.groups * v.n))]
  const aCols = v.perState ? v.n : 1
  const a = at.put(normals(5, v.heads * aCols).map((value) => -Math.abs(value)))
  const state = at.put(normals(6, NUM_SLOTS * state_stride))
  at.run("bz_selective_scan", {
    ...args, num_tokens: t, num_heads: v.heads, head_dim: v.p, state_dim: v.n, num_groups: v.groups,
    dt_min: v.limit?.[0] ?? 0, dt_max: v.limit?.[1] ?? Infinity, state_stride, x: matrix(x, channels, stride),
    dt: matrix(at.put(normals(7, t * v.heads, 4)), v.heads), b: matrix(b, v.groups * v.n), c: matrix(c, v.groups * v.n),
    ...(v.gate ? { z: matrix(z, channels, stride) } : {}), y: matrix(v.inPlace ? x : y, channels, stride),
    a: matrix(a, aCols), dt_bias: v.bias ? at.put(normals(8, v.heads)).at : 0,
    skip: v.bias ? at.put(normals(9, v.heads)).at : 0, state: state.at,
  })
  return Float32Array.from([...x, ...y, ...state])
}

const CONVS: Readonly<Record<string, Conv>> = {
  "few channels": { cols: 1, taps: 2, silu: false, bias: false },
  "odd channels": { cols: 37, taps: 4, silu: true, bias: true },
  "in place, padded": { cols: 64, taps: 3, silu: true, bias: true, inPlace: true, padding: 3 },
  "many taps": { cols: 130, taps: 8, silu: false, bias: true },
}

const SCANS: Readonly<Record<string, Scan>> = {
  "one channel a head": { heads: 19, p: 1, n: 16, groups: 1, perState: true, gate: true, bias: true },
  "one channel a head, odd state": { heads: 5, p: 1, n: 7, groups: 1, perState: true, inPlace: true, padding: 2 },
  "one rate a head": { heads: 6, p: 16, n: 16, groups: 2, bias: true, limit: [0.01, 1.5] },
  "in place, padded": { heads: 4, p: 5, n: 33, groups: 1, bias: true, gate: true, inPlace: true, padding: 3 },
  "a large state": { heads: 2, p: 3, n: 128, groups: 2, bias: true },
  "one value": { heads: 3, p: 2, n: 1, groups: 3 },
}

describe("causal_conv", () => {
  for (const [name, v] of Object.entries(CONVS))
    for (const [of, requests] of Object.entries(REQUESTS))
      compare(`${name}, ${of}`, BOUND, (at) => runConv(at, v, requests))
})

describe("selective_scan", () => {
  for (const [name, v] of Object.entries(SCANS))
    for (const [of, requests] of Object.entries(REQUESTS))
      compare(`${name}, ${of}`, BOUND, (at) => runScan(at, v, requests))
})

describe("a prompt's rows", () => {
  /** Runs `total` rows in calls of these sizes; the state goes from slot to slot. */
  const inPieces = (at: Place, sizes: readonly number[], op: "conv" | "scan"): Float32Array[] => {
    const [cols, taps, n] = [40, 4, 16]
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const x = at.put(normals(1, total * cols))
    const y = at.put(new Float32Array(total * cols))
    const [bc, dt] = [at.put(normals(2, total * 2 * n)), at.put(normals(3, total * cols))]
    const state_stride = cols * n
    const state = at.put(new Float32Array(NUM_SLOTS * state_stride).fill(NaN))
    const w = at.put(normals(4, taps * cols))
    const a = at.put(normals(5, cols * n).map((value) => -Math.abs(value)))
    let [first, slot] = [0, -1]
    for (const rows of sizes) {
      const write = slot < 0 ? 2 : slot === 2 ? 2 + (first % 2) : slot
      const { args } = starts(at, [[rows, slot, write]])
      const matrices = { x: matrix(x.at + first * cols * 4, cols), y: matrix(y.at + first * cols * 4, cols) }
      const common = { ...args, ...matrices, num_tokens: rows, state_stride, state: state.at }
      if (op === "conv") at.run("bz_causal_conv", { ...common, num_taps: taps, silu: 1, w: w.at })
      else
        at.run("bz_selective_scan", {
          ...common, num_heads: cols, head_dim: 1, state_dim: n, num_groups: 1, dt_max: Infinity,
          dt: matrix(dt.at + first * cols * 4, cols), b: matrix(bc.at + first * 2 * n * 4, n, 2 * n),
          c: matrix(bc.at + (first * 2 * n + n) * 4, n, 2 * n), a: matrix(a, n),
        })
      first += rows
      slot = write
    }
    const size = op === "conv" ? (taps - 1) * cols : cols * n
    const result = [y.slice(), state.slice(slot * state_stride, slot * state_stride + size)]
    at.close()
    return result
  }
  for (const op of ["conv", "scan"] as const) {
    test.skipIf(!hasLibraries)(`do not depend on how it is cut: ${op}`, () => {
      for (const isa of isas) {
        const whole = inPieces(place(cpu!, { isa, numThreads: 2 }), [50], op)
        expect(whole[0]!.every(Number.isFinite)).toBe(true)
        for (const sizes of [[1, 1, 1, 47], [16, 16, 16, 2], [49, 1], Array<number>(50).fill(1)])
          expect(inPieces(place(cpu!, { isa, numThreads: 1 }), sizes, op)).toEqual(whole)
      }
    }, TIMEOUT_MS)
  }
})

describe("gated_rms_norm", () => {
  for (const c of [1, 16, 33, 128, 600]) {
    for (const numGroups of [1, c % 4 === 0 ? 4 : c]) {
      for (const gateLast of [0, 1]) {
        compare(`c=${c} groups=${numGroups} gate_last=${gateLast}`, BOUND, (at) => {
          const t = 3
          const [x, z] = [at.put(normals(1, t * (c + 2))), at.put(normals(2, t * (c + 1)))]
          const y = at.put(new Float32Array(t * c))
          const args = { num_tokens: t, num_groups: numGroups, gate_last: gateLast, eps: 1e-5 }
          const [gate, w] = [matrix(z, c, c + 1), at.put(normals(3, c)).at]
          at.run("bz_gated_rms_norm", { ...args, x: matrix(x, c, c + 2), z: gate, y: matrix(y, c), w })
          at.run("bz_gated_rms_norm", { ...args, x: matrix(x, c, c + 2), z: gate, y: matrix(x, c, c + 2), w })
          return Float32Array.from([...x, ...y])
        })
      }
    }
  }
})

describe("what is refused", () => {
  /** A library that runs at once tells a failure of its data by the call and, to whoever waits, again. */
  const told = (at: Place, run: () => void): void => {
    try {
      run()
    } finally {
      if (!at.library.traits().isAsync) expect(() => at.stream.synchronize()).toThrow()
    }
  }

  const cases: Readonly<Record<string, [Requests, RegExp]>> = {
    "a slot that is read and is not there": [[[2, NUM_SLOTS, 1]], /request 0 reads slot 7/],
    "a slot that is written and is not there": [[[1, 0, 0], [1, 0, -1]], /request 1 .* writes slot -1/],
  }
  test.skipIf(!hasLibraries).each(Object.entries(cases))("%s", (_, [requests, words]) => {
    const conv = refusals((at) => told(at, () => runConv(at, CONVS["odd channels"]!, requests)))
    const scan = refusals((at) => told(at, () => runScan(at, SCANS["one rate a head"]!, requests)))
    for (const refusal of [...conv, ...scan]) expect(refusal.words).toMatch(words)
    expect(conv.length + scan.length).toBe(6)
  })

  test.skipIf(!hasLibraries)("shapes that do not agree", () => {
    const words = (v: Partial<Scan>) => {
      const shape = { ...SCANS["one rate a head"]!, ...v }
      return refusals((at) => void runScan(at, shape, [[1, -1, 0]])).map((refusal) => refusal.words)
    }
    for (const text of words({ groups: 4 })) expect(text).toContain("num_groups is 4, must divide num_heads 6")
    for (const text of words({ limit: [1, 0.5] })) expect(text).toContain("dt_min is 1 and dt_max 0.5")
  })
})
