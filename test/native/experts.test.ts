/** Mixtures of experts: routing, products with a stack of weights, and the sum of what experts made. */
import { describe, expect, test } from "bun:test"
import { GROUP_SCORES, LINEAR_FINE, SCORES, type Compute, type GroupScores, type Scores } from "../../ffi/abi.ts"
import type { NativeWeight, WeightPart } from "../../ffi/weight.ts"
import { Prng } from "../../src/base/prng.ts"
import { BLOCKS, randomRows, WEIGHT_DTYPES, type WeightDType } from "./blocks.ts"
import {
  compare, cpu, hasLibraries, isas, libraries, matrix, normals, place, refusals, THREADS, type Place,
} from "./harness.ts"
import { BF16_BOUND, exactRows, FINE_BOUND, FLOAT_BOUND } from "./linear-bounds.ts"
import { argsOf } from "./place.ts"

interface Route {
  readonly t: number
  readonly x: number
  readonly k: number
  readonly scores?: Scores
  readonly normalize?: boolean
  readonly scale?: number
  readonly bias?: boolean
  readonly groups?: readonly [num: number, top: number, by: GroupScores]
}

function route(at: Place, r: Route, logits = normals(r.t * r.x + r.k, r.t * (r.x + 3), 2)) {
  const [numGroups, topGroups, by] = r.groups ?? [0, 0, "max"]
  const ids = at.put(new Int32Array(r.t * r.k).fill(-7))
  const weights = at.put(new Float32Array(r.t * r.k))
  at.run("bz_route", {
    num_tokens: r.t, top_k: r.k, scores: SCORES[r.scores ?? "softmax"], normalize: r.normalize ? 1 : 0,
    num_groups: numGroups, top_groups: topGroups, group_scores: GROUP_SCORES[by], scale: r.scale ?? 1,
    x: matrix(at.put(logits), r.x, r.x + 3), bias: r.bias ? at.put(normals(5, r.x, 0.2)).at : 0, ids: ids.at,
    weights: weights.at,
  })
  return { ids, weights }
}

describe("route", () => {
  const cases: Record<string, Route> = {
    "two of four, normalized": { t: 5, x: 4, k: 2, normalize: true },
    "eight of 128": { t: 33, x: 128, k: 8 },
    "eight of 128, normalized": { t: 3, x: 128, k: 8, normalize: true },
    "all of seven": { t: 9, x: 7, k: 7, normalize: true },
    "one of one by sigmoid": { t: 40, x: 1, k: 1, scores: "sigmoid" },
    "sigmoid, scaled": { t: 6, x: 33, k: 4, scores: "sigmoid", scale: 2.5 },
    "by a bias, weighted without it": { t: 21, x: 64, k: 6, scores: "sigmoid", bias: true, normalize: true },
    "softmax by a bias": { t: 21, x: 20, k: 3, bias: true },
    "groups by their largest": { t: 17, x: 40, k: 6, groups: [8, 3, "max"], scale: 16 },
    "groups by their two largest, with a bias": {
      t: 30, x: 256, k: 8, scores: "sigmoid", bias: true, groups: [8, 4, "top2"], normalize: true, scale: 2.5,
    },
    "groups by their two largest": { t: 11, x: 12, k: 4, groups: [3, 1, "top2"], scores: "sigmoid" },
    "as many as the groups have": { t: 4, x: 12, k: 8, groups: [3, 2, "max"] },
  }
  for (const [name, r] of Object.entries(cases)) {
    compare(`${name}: experts`, 0, (at) => Float32Array.from(route(at, r).ids))
    compare(`${name}: weights`, FLOAT_BOUND, (at) => route(at, r).weights)
  }

  test.skipIf(!hasLibraries)("takes the lower id of equals, in the order of what is largest", () => {
    for (const at of places()) {
      const logits = Float32Array.of(1, 3, 3, 2, 2, 3, NaN, NaN, NaN)
      const { ids, weights } = route(at, { t: 1, x: 6, k: 4 }, logits)
      expect([...ids]).toEqual([1, 2, 5, 3])
      expect(weights[0]).toBe(weights[2]!)
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("sums to one when normalized, and to less else", () => {
    for (const at of places()) {
      const sum = (values: Float32Array): number => values.reduce((all, value) => all + value, 0)
      expect(sum(route(at, { t: 1, x: 60, k: 4, normalize: true }).weights)).toBeCloseTo(1, 6)
      expect(sum(route(at, { t: 1, x: 60, k: 60 }).weights)).toBeCloseTo(1, 5)
      expect(sum(route(at, { t: 1, x: 60, k: 4 }).weights)).toBeLessThan(0.9)
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("a row with a value that is not finite hides nothing, and changes no other row", () => {
    for (const at of places()) {
      for (const bias of [false, true]) {
        const r: Route = { t: 4, x: 9, k: 3, bias, normalize: true }
        const sound = normals(2, r.t * (r.x + 3))
        const spoiled = Float32Array.from(sound)
        spoiled[4] = NaN
        spoiled[(r.x + 3) + 8] = Infinity
        spoiled[3 * (r.x + 3)] = -Infinity
        const [expected, found] = [route(at, r, sound), route(at, r, spoiled)]
        for (const row of [0, 1, 3]) {
          expect([...found.ids.subarray(row * 3, row * 3 + 3)]).toEqual([0, 1, 2])
          expect([...found.weights.subarray(row * 3, row * 3 + 3)]).toEqual([NaN, NaN, NaN])
        }
        expect([...found.ids.subarray(6, 9)]).toEqual([...expected.ids.subarray(6, 9)])
        expect([...found.weights.subarray(6, 9)]).toEqual([...expected.weights.subarray(6, 9)])
      }
      at.close()
    }
  })

  const wrong: [RegExp, Partial<Parameters<typeof argsOf<"bz_route">>[1]>][] = [
    [/top_k is 0, must be 1 to the 8 experts/, { top_k: 0 }],
    [/top_k is 9, must be 1 to the 8 experts/, { top_k: 9 }],
    [/unknown scores 2/, { scores: 2 }],
    [/normalize is 2/, { normalize: 2 }],
    [/scale is not finite/, { scale: Infinity }],
    [/num_groups is 3, must be a divisor of the 8 experts/, { num_groups: 3 }],
    [/top_groups is 0, must be 1 to num_groups 4/, { num_groups: 4 }],
    [/top_k is 2, but 1 groups have 1 experts each/, { num_groups: 8, top_groups: 1 }],
    [/unknown group_scores 2/, { num_groups: 4, top_groups: 1, group_scores: 2 }],
    [/groups of one expert have no two largest/, { num_groups: 8, top_groups: 8, group_scores: 1 }],
    [/ids is NULL/, { ids: 0 }],
    [/weights is NULL/, { weights: 0 }],
  ]
  for (const [words, fields] of wrong)
    test.skipIf(!hasLibraries)(`refuses ${JSON.stringify(fields)}`, () => {
      const results = refusals((at) => at.run("bz_route", {
        num_tokens: 1, top_k: 2, scale: 1, x: matrix(at.put(new Float32Array(8)), 8),
        ids: at.put(new Int32Array(8)).at, weights: at.put(new Float32Array(8)).at, ...fields,
      }))
      for (const refusal of results)
        expect(refusal).toEqual({ status: 1, words: expect.stringMatching(words) as string })
    })
})

/** The CPU library at every level, and the others once. */
function places(): Place[] {
  const [reference, , late] = libraries
  return [place(reference!), ...isas.map((isa) => place(cpu!, { isa, numThreads: 2 })), place(late!, { numThreads: 2 })]
}

interface Part {
  readonly dtype: WeightDType
  readonly n: number
}

function stackOf(at: Place, numExperts: number, parts: readonly Part[], c: number, compute: Compute): NativeWeight {
  const n = parts.reduce((sum, part) => sum + part.n, 0)
  return at.stream.createWeight({ n, c, numExperts, compute }, Array.from({ length: numExperts }, (_, e) =>
    partsOf(at, parts, c, e)).flat())
}

function partsOf(at: Place, parts: readonly Part[], c: number, e: number): WeightPart[] {
  return parts.map(({ dtype, n }, i) => at.part(randomRows(dtype, n, c, 100 * e + i + 1), n, dtype))
}

interface Product {
  readonly r: number
  readonly repeat: number
  readonly numExperts: number
  readonly parts: readonly Part[]
  readonly c: number
  readonly compute?: Compute
  readonly bias?: boolean
  readonly fine?: boolean
  /** Of each row. */
  readonly expert?: (row: number) => number
  readonly x?: (length: number) => Float32Array
}

/** Of rows: in no order, with experts that have no rows. */
function idsOf({ r, repeat, numExperts, expert }: Product): Int32Array {
  const prng = new Prng(r + numExperts)
  const any = (row: number): number => (prng.int(0, 6) * repeat + (row % repeat)) % numExperts
  return Int32Array.from({ length: r }, (_, row) => expert?.(row) ?? any(row))
}

function product(at: Place, p: Product, ids = idsOf(p)): Float32Array {
  const weight = stackOf(at, p.numExperts, p.parts, p.c, p.compute ?? "auto")
  const { n } = weight.shape
  const t = p.r / p.repeat
  const x = at.put(p.x === undefined ? exactRows(t + p.c, t, p.c, p.c + 2) : p.x(t * (p.c + 2)))
  const y = at.put(normals(9, p.r * (n + 3)))
  at.run("bz_linear_experts", {
    num_rows: p.r, flags: p.fine ? LINEAR_FINE : 0, x_repeat: p.repeat, weight: weight.address,
    bias: p.bias ? at.put(normals(8, p.numExperts * n)).at : 0, ids: at.put(ids).at, x: matrix(x, p.c, p.c + 2),
    y: matrix(y, n, n + 3),
  })
  weight.destroy()
  return y
}

describe("linear_experts", () => {
  for (const dtype of WEIGHT_DTYPES) {
    const c = BLOCKS[dtype].columns === 1 ? 100 : 256
    compare(`${dtype}, a token with four experts`, FLOAT_BOUND, (at) =>
      product(at, { r: 4, repeat: 4, numExperts: 9, parts: [{ dtype, n: 33 }], c, bias: true }))
    compare(`${dtype}, many tokens`, FLOAT_BOUND, (at) =>
      product(at, { r: 90, repeat: 2, numExperts: 8, parts: [{ dtype, n: 17 }, { dtype, n: 17 }], c }))
    compare(`${dtype}, a row for each expert of a token`, FLOAT_BOUND, (at) =>
      product(at, { r: 21, repeat: 1, numExperts: 5, parts: [{ dtype, n: 50 }], c, bias: true }))
  }

  for (const compute of ["float32", "bfloat16", "float16", "int8", "int4"] as const)
    for (const dtype of ["F32", "BF16", "Q4_K"] as const)
      compare(`${dtype} as ${compute}`, FLOAT_BOUND, (at) =>
        product(at, { r: 24, repeat: 3, numExperts: 4, parts: [{ dtype, n: 40 }], c: 256, compute }))

  compare("formats that differ", FLOAT_BOUND, (at) =>
    product(at, {
      r: 30, repeat: 2, numExperts: 3, c: 256, bias: true,
      parts: [{ dtype: "Q4_K", n: 33 }, { dtype: "F32", n: 7 }, { dtype: "Q6_K", n: 16 }],
    }))
  compare("fine activations", FINE_BOUND, (at) =>
    product(at, {
      r: 30, repeat: 2, numExperts: 3, c: 256, parts: [{ dtype: "Q8_0", n: 33 }], fine: true,
      x: (length) => normals(3, length, 2),
    }))
  compare("more rows than are multiplied together", BF16_BOUND, (at) =>
    product(at, {
      r: 1300, repeat: 1, numExperts: 3, c: 32, parts: [{ dtype: "BF16", n: 20 }],
      expert: (row) => (row % 13 === 0 ? 2 : 1),
    }))
  compare("rows of more values than a thread prepares for itself", FLOAT_BOUND, (at) =>
    product(at, { r: 6, repeat: 2, numExperts: 3, c: 5120, parts: [{ dtype: "Q4_0", n: 20 }] }))

  test.skipIf(!hasLibraries)("gives the bits that a product with the expert's matrix gives", () => {
    for (const isa of isas) {
      for (const dtype of ["BF16", "F32", "Q4_K", "Q8_0"] as const) {
        const p: Product = { r: 60, repeat: 2, numExperts: 7, c: 256, parts: [{ dtype, n: 35 }] }
        const at = place(cpu!, { isa, numThreads: THREADS.at(-1)! })
        const [x, ids] = [normals(4, (p.r / 2) * (p.c + 2)), idsOf(p)]
        const y = product(at, { ...p, x: () => x }, ids)
        for (let row = 0; row < p.r; row++) {
          const weight = at.stream.createWeight({ n: 35, c: p.c, numExperts: 0, compute: "auto" },
            partsOf(at, p.parts, p.c, ids[row]!))
          const alone = at.put(new Float32Array(35))
          const from = at.put(x.slice(Math.floor(row / 2) * (p.c + 2)))
          at.run("bz_linear", { num_tokens: 1, weight: weight.address, x: matrix(from, p.c), y: matrix(alone, 35) })
          expect([...y.subarray(row * 38, row * 38 + 35)]).toEqual([...alone])
          weight.destroy()
        }
        at.close()
      }
    }
  })

  test.skipIf(!hasLibraries)("holds what was planned, and plans the scratch memory that it takes", () => {
    const at = place(cpu!, { numThreads: 2 })
    for (const parts of [[{ dtype: "Q6_K", n: 40 }], [{ dtype: "BF16", n: 9 }, { dtype: "Q2_K", n: 16 }]] as Part[][]) {
      const shape = { n: parts.reduce((sum, { n }) => sum + n, 0), c: 256, numExperts: 6, compute: "auto" } as const
      const given = Array.from({ length: 6 }, (_, e) => partsOf(at, parts, 256, e)).flat()
      const planned = at.stream.planWeight(shape, given.map((part) => (
        { ...part, values: { ...part.values, address: 0 } })))
      const before = at.stream.memory().weights
      const weight = at.stream.createWeight(shape, given)
      expect(planned.info()).toEqual(weight.info())
      expect(at.stream.memory().weights - before).toBe(weight.info().bytes)
      for (const { address } of [planned, weight]) {
        at.stream.planBegin()
        at.stream.run("bz_linear_experts", argsOf("bz_linear_experts", {
          num_rows: 600, x_repeat: 2, weight: address, ids: 64, x: matrix(64, 256), y: matrix(64, shape.n),
        }))
        expect(at.stream.planEnd()).toBeGreaterThan(0)
      }
      for (const each of [planned, weight]) each.destroy()
      expect(at.stream.memory().weights).toBe(before)
    }
    at.close()
  })

  test.skipIf(!hasLibraries)("a row without an expert is 0, and told of", () => {
    for (const at of places()) {
      const weight = stackOf(at, 3, [{ dtype: "F32", n: 20 }], 16, "auto")
      const ids = at.put(Int32Array.of(2, 3, 0, -1, 2 ** 31 - 1, 1))
      const y = at.put(normals(1, 6 * 20))
      const status = at.put(new Int32Array(6).fill(-7))
      const args = {
        num_rows: 6, x_repeat: 3, weight: weight.address, ids: ids.at, x: matrix(at.put(normals(2, 32)), 16),
        y: matrix(y, 20),
      }
      at.run("bz_linear_experts", { ...args, row_status: status.at })
      expect([...status]).toEqual([0, 1, 0, 1, 1, 0])
      for (const row of [1, 3, 4]) expect(y.subarray(row * 20, row * 20 + 20).every((value) => value === 0)).toBe(true)
      for (const row of [0, 2, 5]) expect(y[row * 20]).not.toBe(0)
      expect(() => at.run("bz_linear_experts", args)).toThrow("linear_experts: ids[1] is 3, must be in [0, 3)")
      if (!at.library.traits().isAsync) expect(() => at.stream.synchronize()).toThrow()
      weight.destroy()
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("a recording reads the experts when it is launched", () => {
    for (const library of libraries.slice(1)) {
      const at = place(library, { numThreads: 2 })
      const weight = stackOf(at, 4, [{ dtype: "Q8_0", n: 20 }], 64, "auto")
      const x = at.put(normals(2, 2 * 64))
      const ids = at.put(new Int32Array(4))
      const [y, again] = [at.put(new Float32Array(4 * 20)), at.put(new Float32Array(4 * 20))]
      const args = { num_rows: 4, x_repeat: 2, weight: weight.address, ids: ids.at, x: matrix(x, 64) }
      const graph = at.capture(() => at.run("bz_linear_experts", { ...args, y: matrix(y, 20) }))
      ids.set([3, 1, 0, 3])
      at.launch(graph)
      at.run("bz_linear_experts", { ...args, y: matrix(again, 20) })
      expect([...y]).toEqual([...again])
      at.stream.destroyGraph(graph)
      weight.destroy()
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("refuses what does not fit", () => {
    const shape = { n: 20, c: 16, compute: "auto" } as const
    const given = (at: Place, fields: object, numExperts = 3): void => {
      const weight = numExperts === 0
        ? at.stream.createWeight({ ...shape, numExperts }, partsOf(at, [{ dtype: "F32", n: 20 }], 16, 0))
        : stackOf(at, numExperts, [{ dtype: "F32", n: 20 }], 16, "auto")
      try {
        at.run("bz_linear_experts", {
          num_rows: 4, x_repeat: 2, weight: weight.address, ids: at.put(new Int32Array(4)).at,
          x: matrix(at.put(new Float32Array(64)), 16), y: matrix(at.put(new Float32Array(80)), 20), ...fields,
        })
      } finally {
        weight.destroy()
      }
    }
    const wrong: [RegExp, object, number?][] = [
      [/the weight is no stack/, {}, 0],
      [/unknown flags 0x1/, { flags: 1 }],
      [/num_rows is 4, must be a multiple of x_repeat 3/, { x_repeat: 3 }],
      [/num_rows is 4, must be a multiple of x_repeat 0/, { x_repeat: 0 }],
      [/ids is NULL/, { ids: 0 }],
      [/x.cols is 15, must be 16/, { x: matrix(64, 15) }],
      [/y.cols is 21, must be 20/, { y: matrix(64, 21) }],
    ]
    for (const [words, fields, numExperts] of wrong)
      for (const refusal of refusals((at) => given(at, fields, numExperts)))
        expect(refusal).toEqual({ status: 1, words: expect.stringMatching(words) as string })
  })
})

describe("combine", () => {
  for (const [t, k, c, accumulate] of [[1, 2, 64, 1], [5, 8, 300, 0], [40, 1, 33, 1], [3, 4, 1000, 1]] as const)
    compare(`t=${t} k=${k} c=${c} accumulate=${accumulate}`, 1e-12, (at) => {
      const y = at.put(normals(1, t * (c + 2)))
      at.run("bz_combine", {
        num_tokens: t, top_k: k, accumulate, x: matrix(at.put(normals(2, t * k * (c + 1))), c, c + 1),
        y: matrix(y, c, c + 2), weights: at.put(normals(3, t * k)).at,
      })
      return y
    })

  test.skipIf(!hasLibraries)("shows what is not a number", () => {
    for (const at of places()) {
      const y = at.put(new Float32Array(40))
      at.run("bz_combine", {
        num_tokens: 2, top_k: 2, accumulate: 1, x: matrix(at.put(normals(2, 80)), 20), y: matrix(y, 20),
        weights: at.put(Float32Array.of(0.5, 0.5, NaN, 0.5)).at,
      })
      expect([...y.subarray(0, 20)].every(Number.isFinite)).toBe(true)
      expect([...y.subarray(20)].every(Number.isNaN)).toBe(true)
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("refuses what does not fit", () => {
    const wrong: [RegExp, object][] = [
      [/top_k is 0, must be 1 to 65536/, { top_k: 0 }],
      [/accumulate is 2, must be 0 or 1/, { accumulate: 2 }],
      [/x.cols is 9, must be 8/, { x: matrix(64, 9) }],
      [/weights is NULL/, { weights: 0 }],
    ]
    for (const [words, fields] of wrong)
      for (const refusal of refusals((at) => at.run("bz_combine", {
        num_tokens: 1, top_k: 2, x: matrix(at.put(new Float32Array(16)), 8),
        y: matrix(at.put(new Float32Array(8)), 8), weights: at.put(new Float32Array(2)).at, ...fields,
      })))
        expect(refusal).toEqual({ status: 1, words: expect.stringMatching(words) as string })
  })
})
