import { describe, expect, test } from "bun:test"
import { DTYPE } from "../../ffi/abi.ts"
import { compare, cpu, hasLibraries, isas, matrix, normals, place, refusals, type Place } from "./harness.ts"

interface Shape {
  readonly t: number
  readonly h: number
  readonly n: number
  readonly c: number
  readonly dtype: "F32" | "BF16"
}

/** Values of a row and a head behind those that the op takes. */
const GAP = 3

/** The rows [0, t) of the product, each head's values with what lies behind them. */
function run(at: Place, { t, h, n, c, dtype }: Shape): Float32Array {
  const [xDim, yDim] = [c + GAP, n + GAP]
  const values = normals(2, h * n * c)
  const w = dtype === "F32" ? at.put(values) : at.put(new Uint16Array(values.length))
  if (dtype === "BF16") {
    const bits = new Uint32Array(values.buffer)
    for (let i = 0; i < bits.length; i++) w[i] = bits[i]! >>> 16
  }
  const y = at.put(normals(3, t * (h * yDim + 1)))
  at.run("bz_linear_heads", {
    num_tokens: t, num_heads: h, n, c, w_dtype: DTYPE[dtype], w: w.at,
    x: matrix(at.put(normals(1, t * (h * xDim + 2))), h * xDim, h * xDim + 2), y: matrix(y, h * yDim, h * yDim + 1),
  })
  return y
}

describe("linear_heads", () => {
  const sizes = [[1, 1, 1, 1], [1, 16, 512, 128], [2, 5, 70, 33], [7, 4, 16, 32], [40, 3, 129, 64], [13, 2, 64, 512]]
  for (const dtype of ["F32", "BF16"] as const)
    for (const [t, h, n, c] of sizes as [number, number, number, number][])
      // Float32 products and sums of up to 512 terms.
      compare(`${dtype} ${t} tokens, ${h} heads, ${n} x ${c}`, 3e-12, (at) => run(at, { t, h, n, c, dtype }))

  test.skipIf(!hasLibraries)("a row's result does not depend on the others", () => {
    for (const isa of isas) {
      const shape = { h: 3, n: 77, c: 40, dtype: "BF16" } as const
      const at = place(cpu!, { isa, numThreads: 2 })
      const all = run(at, { t: 23, ...shape })
      for (const t of [1, 2, 3, 5, 12]) {
        const some = run(at, { t, ...shape })
        expect([...new Uint32Array(some.slice().buffer)]).toEqual(
          [...new Uint32Array(all.slice(0, some.length).buffer)])
      }
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("refuses heads that are narrower than its matrices", () => {
    const outcomes = refusals((at) => {
      const data = at.put(normals(1, 64))
      at.run("bz_linear_heads", {
        num_tokens: 1, num_heads: 2, n: 8, c: 9, x: matrix(data, 16), y: matrix(data, 16), w: data.at,
      })
    })
    for (const { status, words } of outcomes) {
      expect(status).toBe(1)
      expect(words).toContain("x.cols is 16, must be num_heads 2 times 9 or more")
    }
  })
})
