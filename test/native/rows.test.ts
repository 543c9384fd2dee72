import { describe } from "bun:test"
import { ACT } from "../../ffi/abi.ts"
import { compare, matrix, normals } from "./harness.ts"

// Sums of squares in float32 lanes against float64: a few roundings of 2^-24 each.
const NORM_BOUND = 1e-13
// Exponentials good to 2 ulp.
const ACT_BOUND = 1e-13
// One rounding, or two where the level has no fused product.
const SUM_BOUND = 1e-14

describe("rms_norm", () => {
  for (const c of [1, 7, 16, 33, 64, 100, 576, 2050]) {
    for (const t of [1, 2, 5]) {
      for (const residual of [false, true]) {
        compare(`c=${c} t=${t} residual=${residual}`, NORM_BOUND, (at) => {
          const stride = c + 3
          const x = at.put(normals(1, t * stride))
          const w = at.put(normals(2, c))
          const r = at.put(normals(3, t * (c + 5)))
          const y = at.put(new Float32Array(t * (c + 1)))
          at.run("bz_rms_norm", {
            num_tokens: t, eps: 1e-5, x: matrix(x, c, stride), w: w.at, y: matrix(y, c, c + 1),
            residual: matrix(residual ? r : 0, c, c + 5), w_offset: residual ? 1 : 0,
          })
          return Float32Array.from([...y, ...r])
        })
      }
    }
  }

  compare("in place, tiny values", NORM_BOUND, (at) => {
    const x = at.put(normals(4, 3 * 64, 1e-4))
    const w = at.put(normals(5, 64))
    at.run("bz_rms_norm", { num_tokens: 3, eps: 1e-6, x: matrix(x, 64), w: w.at, y: matrix(x, 64) })
    return x
  })

  compare("many tokens", NORM_BOUND, (at) => {
    const x = at.put(normals(6, 97 * 576))
    const w = at.put(normals(7, 576))
    const y = at.put(new Float32Array(97 * 576))
    at.run("bz_rms_norm", { num_tokens: 97, eps: 1e-5, x: matrix(x, 576), w: w.at, y: matrix(y, 576) })
    return y
  })
})

describe("gated_act", () => {
  for (const [name, act] of Object.entries(ACT)) {
    for (const f of [1, 15, 16, 48, 257, 1536]) {
      for (const t of [1, 3]) {
        compare(`${name} f=${f} t=${t}`, ACT_BOUND, (at) => {
          const stride = 2 * f + 2
          const x = at.put(normals(f, t * stride, 3))
          const y = at.put(new Float32Array(t * (f + 1)))
          at.run("bz_gated_act", { num_tokens: t, act, x: matrix(x, 2 * f, stride), y: matrix(y, f, f + 1) })
          return y
        })
      }
    }
    compare(`${name} far from 0`, ACT_BOUND, (at) => {
      const gate = Float32Array.from({ length: 401 }, (_, i) => (i - 200) / 2)
      const x = at.put(Float32Array.from([...gate, ...new Float32Array(401).fill(1)]))
      const y = at.put(new Float32Array(401))
      at.run("bz_gated_act", { num_tokens: 1, act, x: matrix(x, 802), y: matrix(y, 401) })
      return y
    })
    compare(`${name} in place, many tokens`, ACT_BOUND, (at) => {
      const x = at.put(normals(9, 33 * 1024))
      at.run("bz_gated_act", { num_tokens: 33, act, x: matrix(x, 1024), y: matrix(x, 512, 1024) })
      return x
    })
  }
})

describe("softcap", () => {
  for (const [t, c] of [[1, 1], [3, 17], [5, 64], [40, 577]] as const) {
    compare(`t=${t} c=${c}`, ACT_BOUND, (at) => {
      const x = at.put(normals(1, t * (c + 2), 30))
      const y = at.put(normals(2, t * (c + 4)))
      at.run("bz_softcap", { num_tokens: t, cap: 30, x: matrix(x, c, c + 2), y: matrix(y, c, c + 4) })
      return y
    })
  }

  compare("in place, far from 0", ACT_BOUND, (at) => {
    const x = at.put(Float32Array.from({ length: 401 }, (_, i) => (i - 200) * 50))
    at.run("bz_softcap", { num_tokens: 1, cap: 50, x: matrix(x, 401), y: matrix(x, 401) })
    return x
  })
})

describe("gather_rows and add", () => {
  for (const [t, c] of [[1, 1], [3, 17], [5, 64], [40, 577]] as const) {
    compare(`add t=${t} c=${c}`, SUM_BOUND, (at) => {
      const x = at.put(normals(1, t * (c + 2)))
      const y = at.put(normals(2, t * (c + 4)))
      at.run("bz_add", { num_tokens: t, scale: 0.75, x: matrix(x, c, c + 2), y: matrix(y, c, c + 4) })
      return y
    })
    compare(`gather_rows t=${t} c=${c}`, 0, (at) => {
      const x = at.put(normals(1, 9 * (c + 2)))
      const y = at.put(new Float32Array(t * (c + 4)))
      const rows = at.put(Int32Array.from({ length: t }, (_, i) => (i * 7) % 9))
      at.run("bz_gather_rows", {
        num_rows: t, num_source_rows: 9, x: matrix(x, c, c + 2), y: matrix(y, c, c + 4), rows: rows.at,
      })
      return y
    })
  }
})
