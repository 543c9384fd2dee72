/**
 * A small seeded generator of pseudo-random numbers (xoshiro128**): the same seed gives the same numbers everywhere.
 * For tests, simulation and defaults; never for secrets.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators"; seeded through SplitMix32.
 */
import { assert } from "./assert.ts"

export class Prng {
  readonly #state = new Uint32Array(4)

  /** `seed`: any number; its lower 32 bits count. */
  constructor(seed: number) {
    let z = seed >>> 0
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0
      let x = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
      this.#state[i] = x ^ (x >>> 15)
    }
  }

  /** Uniform over the 32-bit integers. */
  uint32(): number {
    const s = this.#state as unknown as [number, number, number, number]
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotateLeft(s[3], 11)
    return result
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32
  }

  /** Uniform over the integers in [least, most]. */
  int(least: number, most: number): number {
    assert(least <= most, () => `int(${least}, ${most})`)
    return least + Math.floor(this.float() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.float() < probability
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "nothing to pick from")
    return items[this.int(0, items.length - 1)] as T
  }
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits))
}
