import { describe, expect, test } from "bun:test"
import { LOGPROBS_MODE } from "../../ffi/abi.ts"
import { Prng } from "../../src/base/prng.ts"
import {
  compare, cpu, hasLibraries, isas, libraries, matrix, normals, place, refusals, reference, type Place,
} from "./harness.ts"

interface Row {
  readonly temperature: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly seed?: number
  readonly position?: number
}

function sample(at: Place, logits: Float32Array, vocab: number, rows: readonly Row[], stride = vocab): Int32Array {
  return sampleAndTell(at, logits, vocab, rows, stride).out
}

function sampleAndTell(at: Place, logits: Float32Array, vocab: number, rows: readonly Row[], stride = vocab) {
  const l = at.put(logits)
  const processed = at.put(new Float32Array(rows.length * stride))
  const out = at.put(new Int32Array(rows.length).fill(-7))
  const f32 = (pick: (row: Row) => number): number => at.put(Float32Array.from(rows, pick)).at
  at.run("bz_sample", {
    num_requests: rows.length, logits: matrix(l, vocab, stride),
    temperature: f32((row) => row.temperature), top_p: f32((row) => row.topP ?? 1), min_p: f32((row) => row.minP ?? 0),
    top_k: at.put(Int32Array.from(rows, (row) => row.topK ?? 0)).at,
    seeds: at.put(BigUint64Array.from(rows, (row) => BigInt(row.seed ?? 1) * 0x1_0000_0001n)).at,
    positions: at.put(Int32Array.from(rows, (row) => row.position ?? 0)).at, out: out.at,
    out_processed: matrix(processed, vocab, stride),
  })
  return { out: Int32Array.from(out), processed: Float32Array.from(processed) }
}

/** Equal tokens from every library, level and thread count. */
function sampleAlike(name: string, make: () => { logits: Float32Array; vocab: number; rows: Row[] }): void {
  compare(name, 0, (at) => {
    const { logits, vocab, rows } = make()
    const { out, processed } = sampleAndTell(at, logits, vocab, rows)
    return Float32Array.from([...out, ...processed])
  })
}

const KNOBS: Record<string, Omit<Row, "temperature">> = {
  everything: {},
  "top-k 1": { topK: 1 },
  "top-k 50": { topK: 50 },
  "top-p 0.9": { topP: 0.9 },
  "top-p 0": { topP: 0 },
  "top-p 0.1": { topP: 0.1 },
  "min-p 0.05": { minP: 0.05 },
  "top-k 20 top-p 0.8": { topK: 20, topP: 0.8 },
  "min-p 0.01 top-p 0.95": { minP: 0.01, topP: 0.95 },
  "min-p 0.02 top-k 100 top-p 0.99": { minP: 0.02, topK: 100, topP: 0.99 },
  "top-k beyond": { topK: 1_000_000 },
  "min-p 1": { minP: 1 },
  "top-k most": { topK: 900 },
}

/** Murmur3, 32 bits, a third time: held to published answers below. */
function murmur3(bytes: Uint8Array, seed: number): number {
  const rotate = (x: number, bits: number) => (x << bits) | (x >>> (32 - bits))
  const mix = (k: number) => Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593)
  const word = (at: number) => [...bytes.subarray(at, at + 4)].reduce((k, byte, j) => k | (byte << (8 * j)), 0)
  const whole = bytes.length - (bytes.length % 4)
  let hash = seed
  for (let i = 0; i < whole; i += 4) hash = Math.imul(rotate(hash ^ mix(word(i)), 13), 5) + 0xe6546b64
  if (whole < bytes.length) hash ^= mix(word(whole))
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

describe("the hash of a draw", () => {
  test("is Murmur3 by its published answers", () => {
    const hash = (text: string, seed: number) => murmur3(new TextEncoder().encode(text), seed).toString(16)
    expect(hash("", 0)).toBe("0")
    expect(hash("", 1)).toBe("514e28b7")
    expect(hash("abc", 0)).toBe("b3dd93fa")
    expect(hash("aaaa", 0x9747b28c)).toBe("5a97808a")
    expect(hash("The quick brown fox jumps over the lazy dog", 0x9747b28c)).toBe("2fa826cd")
  })

  test.skipIf(!hasLibraries)("decides between equal logits: the token with the largest one is drawn", () => {
    const vocab = 40
    const rows = Array.from({ length: 24 }, (_, r): Row => ({ temperature: 1, seed: r * 977, position: r * r }))
    const wanted = rows.map(({ seed, position }) => {
      const hashOf = (token: number) => {
        const words = Uint32Array.of(seed!, seed!, position!, token, 0x62616f7a)
        return murmur3(new Uint8Array(words.buffer), 0)
      }
      const hashes = Array.from({ length: vocab }, (_, token) => hashOf(token))
      return hashes.indexOf(Math.max(...hashes))
    })
    expect(new Set(wanted).size).toBeGreaterThan(10)
    for (const library of libraries)
      expect([...sample(place(library), new Float32Array(rows.length * vocab), vocab, rows)]).toEqual(wanted)
  })
})

describe("sample gives the reference's token", () => {
  for (const [name, knobs] of Object.entries(KNOBS))
    for (const vocab of [1, 5, 64, 1000, 3001])
      sampleAlike(`${name}, vocabulary ${vocab}`, () => ({
        logits: normals(vocab, vocab * 12, 4), vocab,
        rows: Array.from({ length: 12 }, (_, r) => ({
          temperature: [1, 0.3, 2.5, 0][r % 4] as number, seed: r, position: r * 31, ...knobs,
        })),
      }))

  sampleAlike("equal logits", () => ({
    logits: new Float32Array(4 * 500).fill(1.5), vocab: 500,
    rows: [{ temperature: 0 }, { temperature: 1, topK: 3 }, { temperature: 1, topP: 0.01 }, { temperature: 0.7 }],
  }))

  sampleAlike("few distinct logits", () => ({
    logits: normals(3, 8 * 2000, 2).map((x) => Math.round(x)), vocab: 2000,
    rows: Array.from({ length: 8 }, (_, r) => ({ temperature: 0.9, topK: r * 3, topP: 0.2 + r * 0.1, seed: r })),
  }))

  sampleAlike("forbidden and infinite logits", () => {
    const logits = normals(4, 6 * 100, 1)
    logits.fill(-Infinity, 0, 100)
    logits.fill(-Infinity, 100, 200).set([3], 150)
    logits.fill(-Infinity, 200, 250)
    logits.set([Infinity, 1, Infinity], 340)
    logits.fill(-Infinity, 400, 500)
    const rows = [{ temperature: 1 }, { temperature: 1, topP: 0.5 }, { temperature: 1, topK: 70 }, { temperature: 1 },
      { temperature: 0 }, { temperature: 1, minP: 0.5, topK: 4, topP: 0.5 }]
    return { logits, vocab: 100, rows }
  })

  sampleAlike("a large vocabulary", () => ({
    logits: normals(5, 3 * 50_000, 3), vocab: 50_000,
    rows: [{ temperature: 1 }, { temperature: 0.8, topP: 0.95 }, { temperature: 1, topK: 40, topP: 0.9 }],
  }))
})

describe("sample", () => {
  // Pearson's statistic over 50 tokens: 49 degrees of freedom pass 90 about once in 3000; the seeds are fixed.
  for (const [name, knobs, support] of [["everything", {}, 50], ["top-k 10", { topK: 10 }, 10]] as const) {
    test.skipIf(!hasLibraries)(`draws from the softmax: ${name}`, () => {
      const [vocab, draws] = [50, 20_000]
      const logits = normals(11, vocab, 1.2)
      const order = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number)).slice(0, support)
      const weights = order.map((id) => Math.exp((logits[id] as number) / 0.8))
      const whole = weights.reduce((a, b) => a + b, 0)
      const counts = new Int32Array(vocab)
      const at = place(cpu!, { numThreads: 2 })
      for (let i = 0; i < draws; i += 500) {
        const rows = Array.from({ length: 500 }, (_, r) => ({ temperature: 0.8, seed: 42, position: i + r, ...knobs }))
        const repeated = new Float32Array(500 * vocab)
        for (let r = 0; r < 500; r++) repeated.set(logits, r * vocab)
        for (const id of sample(at, repeated, vocab, rows)) counts[id] = (counts[id] as number) + 1
        at.close()
      }
      let statistic = 0
      order.forEach((id, i) => {
        const expected = (draws * (weights[i] as number)) / whole
        statistic += ((counts[id] as number) - expected) ** 2 / expected
      })
      expect(order.reduce((sum, id) => sum + (counts[id] as number), 0)).toBe(draws)
      expect(statistic).toBeLessThan(90)
    })
  }

  test.skipIf(!hasLibraries)("depends on seed and position, not on the batch", () => {
    const vocab = 300
    const logits = normals(12, 40 * vocab, 2)
    const rows = Array.from({ length: 40 }, (_, r) => ({ temperature: 1, seed: r % 5, position: r % 7, topP: 0.97 }))
    const at = place(cpu!, { numThreads: 2 })
    const together = sample(at, logits, vocab, rows)
    rows.forEach((row, r) => {
      expect(sample(at, logits.slice(r * vocab, (r + 1) * vocab), vocab, [row])[0]).toBe(together[r] as number)
    })
    const same = new Float32Array(40 * vocab)
    for (let r = 0; r < 40; r++) same.set(logits.subarray(0, vocab), r * vocab)
    const bySeed = sample(at, same, vocab, rows.map((_, r) => ({ temperature: 1, seed: r, position: 3 })))
    const byPosition = sample(at, same, vocab, rows.map((_, r) => ({ temperature: 1, seed: 3, position: r })))
    expect(new Set(bySeed).size).toBeGreaterThan(10)
    expect(new Set(byPosition).size).toBeGreaterThan(10)
    at.close()
  })

  test.skipIf(!hasLibraries)("top-k keeps whatever ties with the last it keeps, top-p the likeliest at least", () => {
    const logits = Float32Array.of(2, 3, 2, -1, 2, 1)
    const rows: Row[] = [{ temperature: 1, topK: 1 }, { temperature: 1, topK: 2 }, { temperature: 1, topK: 5 },
      { temperature: 1, topP: 0 }, { temperature: 1, topP: 1e-6 }, { temperature: 1, topK: 2, topP: 0.3 }]
    const at = place(cpu!, { numThreads: 1 })
    const { processed } = sampleAndTell(at, Float32Array.from(rows.flatMap(() => [...logits])), 6, rows)
    at.close()
    const kept = rows.map((_, r) => [...logits.keys()].filter((id) => processed[r * 6 + id]! > -Infinity))
    expect(kept).toEqual([[1], [0, 1, 2, 4], [0, 1, 2, 4, 5], [1], [1], [1]])
  })

  test.skipIf(!hasLibraries)("refuses NaN logits", () => {
    const logits = normals(13, 200)
    logits[150] = NaN
    for (const temperature of [0, 1])
      for (const refusal of refusals((at) => sample(at, logits, 100, [{ temperature }, { temperature }]))) {
        expect(refusal.status).toBe(7)
        expect(refusal.words).toMatch(/row 1 is NaN/)
      }
  })
})

/** Rows of normal logits, some of which hold what a broken model computes. */
function spoiledLogits(vocab: number, spoiled: Readonly<Record<number, number>>, numRows: number): Float32Array {
  const logits = normals(vocab, numRows * vocab, 3)
  for (const [row, value] of Object.entries(spoiled)) logits[(Number(row) + 1) * vocab - 1] = value
  return logits
}

describe("a status for each row", () => {
  const NUM_ROWS = 9
  const temperatures = Float32Array.from({ length: NUM_ROWS }, (_, r) => [0, 1, 0.7][r % 3]!)

  for (const vocab of [1, 15, 16, 257, 3001]) {
    // The rows that are sound are sampled as if the others were not there.
    compare(`sample: vocabulary ${vocab}`, 0, (at) => {
      const run = (logits: Float32Array) => {
        const ints = (values: number[]) => at.put(Int32Array.from(values))
        const ones = Array.from({ length: NUM_ROWS }, () => 1)
        const [out, status] = [ints(ones.map(() => -7)), ints(ones.map(() => -7))]
        at.run("bz_sample", {
          num_requests: NUM_ROWS, logits: matrix(at.put(logits), vocab),
          temperature: at.put(temperatures).at, top_p: at.put(Float32Array.from(ones)).at,
          min_p: at.put(new Float32Array(NUM_ROWS)).at, top_k: at.put(new Int32Array(NUM_ROWS)).at,
          seeds: at.put(new BigUint64Array(NUM_ROWS)).at, positions: ints(ones).at, out: out.at,
          row_status: status.at,
        })
        return { out: [...out], status: [...status] }
      }
      const sound = run(spoiledLogits(vocab, {}, NUM_ROWS))
      const spoiled = run(spoiledLogits(vocab, { 2: NaN, 4: NaN, 8: NaN }, NUM_ROWS))
      expect(sound.status).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0])
      expect(spoiled.status).toEqual([0, 0, 7, 0, 7, 0, 0, 0, 7])
      spoiled.out.forEach((id, r) => expect(id).toBe(spoiled.status[r] === 0 ? sound.out[r]! : 0))
      return Float32Array.from(spoiled.out)
    })

    compare(`logits_process: vocabulary ${vocab}`, 0, (at) => {
      const logits = at.put(spoiledLogits(vocab, { 1: NaN, 3: Infinity, 6: -Infinity }, NUM_ROWS))
      const status = at.put(new Int32Array(NUM_ROWS).fill(-7))
      const wrongIds = [0, 0, 0, 0, vocab, 0, 0, 0, -1]
      at.run("bz_logits_process", {
        num_requests: NUM_ROWS, logits: matrix(logits, vocab),
        edit_start: at.put(Int32Array.from({ length: NUM_ROWS + 1 }, (_, i) => i)).at,
        edit_ids: at.put(Int32Array.from(wrongIds)).at, edit_values: at.put(new Float32Array(NUM_ROWS).fill(2)).at,
        row_status: status.at,
      })
      expect([...status]).toEqual([0, 7, 0, 7, 1, 0, 7, 0, 1])
      const fitting = [0, 2, 5, 7]
      return Float32Array.from(fitting.flatMap((r) => [...logits.slice(r * vocab, (r + 1) * vocab)]))
    })
  }

  test.skipIf(!hasLibraries)("every value that is not finite is found, wherever it is", () => {
    const vocab = 83
    for (const library of libraries) {
      for (const isa of library === reference ? ["scalar"] : isas) {
        const at = place(library, { isa, numThreads: 1 })
        for (const value of [NaN, Infinity, -Infinity]) {
          const logits = normals(1, vocab * vocab, 1e38 / 8)
          for (let r = 0; r < vocab; r++) logits[r * vocab + r] = value
          const status = at.put(new Int32Array(vocab))
          at.run("bz_logits_process", {
            num_requests: vocab, logits: matrix(at.put(logits), vocab), row_status: status.at,
          })
          expect(status.every((each) => each === 7)).toBe(true)
          at.close()
        }
      }
    }
  })

  test.skipIf(!hasLibraries)("log-probabilities of rows that are not numbers touch nothing else", () => {
    const at = place(cpu!, { numThreads: 1 })
    const [vocab, k] = [70, 70]
    const logits = at.put(new Float32Array(2 * vocab).fill(NaN, 0, vocab))
    const ids = at.put(new Int32Array(2 * k))
    at.run("bz_logprobs", {
      num_requests: 2, num_top: k, logits: matrix(logits, vocab),
      ids: at.put(new Int32Array(2)).at, out_logprob: at.put(new Float32Array(2)).at,
      out_rank: at.put(new Int32Array(2)).at, out_top_ids: ids.at,
      out_top_logprobs: at.put(new Float32Array(2 * k)).at,
    })
    expect([...ids.slice(0, k)].every((id) => id >= 0 && id < vocab)).toBe(true)
    expect([...ids.slice(k)]).toEqual(Array.from({ length: k }, (_, i) => i))
    at.close()
  })
})

describe("logits_process", () => {
  interface Groups {
    readonly bitmask?: boolean
    readonly allowed?: boolean
    readonly edits?: boolean
    readonly penalties?: boolean
  }
  const cases: Groups[] = [
    {}, { bitmask: true }, { allowed: true }, { edits: true }, { penalties: true },
    { bitmask: true, allowed: true, edits: true, penalties: true },
  ]
  for (const groups of cases)
    for (const vocab of [31, 64, 1000])
      // Float32 operations in the same order.
      compare(`${JSON.stringify(groups)} vocabulary ${vocab}`, 1e-14, (at) => {
        const rows = 5
        const stride = vocab + 3
        const prng = new Prng(vocab)
        const words = Math.ceil(vocab / 32)
        const logits = at.put(normals(1, rows * stride, 3))
        const ids = (count: number): number =>
          at.put(Int32Array.from({ length: count }, () => prng.int(0, vocab - 1))).at
        const mask = Uint32Array.from({ length: 3 * words }, (_, i) => [prng.uint32(), 0xffff_ffff, 0][i % 3] as number)
        const floats = (values: number[]): number => at.put(Float32Array.from(values)).at
        const ints = (values: number[]): number => at.put(Int32Array.from(values)).at
        at.run("bz_logits_process", {
          num_requests: rows, logits: matrix(logits, vocab, stride),
          ...(groups.bitmask && { bitmask: at.put(mask).at, bitmask_row: ints([0, -1, 2, 1, 0]) }),
          ...(groups.allowed && { allow_start: ints([0, 0, 4, 4, 9, 9]), allow_ids: ids(9) }),
          ...(groups.edits && {
            edit_start: ints([0, 3, 3, 7, 8, 12]), edit_ids: ids(12),
            edit_values: floats([1, -2, -Infinity, 100, 0.5, 0.25, -Infinity, 3, 4, 5, 6, 7]),
          }),
          ...(groups.penalties && {
            token_ids: ids(6 * 40), token_stride: 40, token_row: ints([5, 0, 1, 3, 2]),
            num_tokens_of: ints([40, 0, 11, 25, 40]),
            num_prompt_of: ints([10, 0, 11, 0, 39]), repetition: floats([1.3, 1.1, 1, 2, 1]),
            frequency: floats([0.5, 0, 0, -0.3, 1]), presence: floats([0, 1, 0.7, 0.2, -1]),
          }),
        })
        return logits
      })

  test.skipIf(!hasLibraries)("refuses ids outside of the vocabulary", () => {
    const answers = refusals((at) => {
      const logits = at.put(normals(1, 20))
      at.run("bz_logits_process", {
        num_requests: 1,
        logits: matrix(logits, 20),
        edit_start: at.put(Int32Array.of(0, 1)).at,
        edit_ids: at.put(Int32Array.of(20)).at,
        edit_values: at.put(Float32Array.of(1)).at,
      })
    })
    for (const { status, words } of answers) {
      expect(status).toBe(1)
      expect(words).toMatch(/edit id 20 is not in \[0, 20\)/)
    }
  })
})

describe("logprobs", () => {
  for (const [vocab, k] of [[1, 1], [10, 10], [100, 0], [1000, 5], [3001, 20], [700, 700]] as const)
    for (const [mode, code] of Object.entries(LOGPROBS_MODE))
      // Sums of float32 exponentials good to 2 ulp; ids and ranks are compared exactly below.
      compare(`${mode} vocabulary ${vocab} top ${k}`, 1e-13, (at) => {
        const rows = 3
        const logits = at.put(normals(vocab, rows * (vocab + 1), 5).map((x) => Math.round(x * 8) / 8))
        if (vocab === 1000) logits.fill(-Infinity, 3, 998)
        const ids = at.put(Int32Array.of(0, vocab - 1, vocab >> 1))
        const logprob = at.put(new Float32Array(rows))
        const rank = at.put(new Int32Array(rows))
        const topIds = at.put(new Int32Array(rows * k))
        const top = at.put(new Float32Array(rows * k))
        at.run("bz_logprobs", {
          num_requests: rows, num_top: k, mode: code, logits: matrix(logits, vocab, vocab + 1),
          ids: ids.at, out_logprob: logprob.at, out_rank: rank.at, out_top_ids: topIds.at, out_top_logprobs: top.at,
        })
        const key = `${vocab} ${k} ${mode}`
        const exact = JSON.stringify([[...rank], [...topIds]])
        expect(seen.get(key) ?? exact).toBe(exact)
        seen.set(key, exact)
        return Float32Array.from([...logprob, ...top])
      })
})
const seen = new Map<string, string>()
