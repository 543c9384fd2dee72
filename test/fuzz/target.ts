/**
 * Fuzzing: a target does one thing with random input and throws where that does what it must not. A case is known by
 * its seed: the same seed does the same again.
 */
import { expect } from "bun:test"
import { ConfigError, RequestError } from "../../src/base/errors.ts"
import { Prng } from "../../src/base/prng.ts"

export interface FuzzTarget {
  readonly name: string
  /** One case. Throws what it found. */
  run(prng: Prng): Promise<void> | void
}

export interface FuzzReport {
  readonly name: string
  readonly cases: number
  /** The case that took longest. */
  readonly slowest: { readonly seed: number; readonly ms: number }
}

/**
 * Runs cases of consecutive seeds until there were `maxCases` of them or `seconds` are over. Throws the first finding,
 * which tells its seed.
 */
export async function fuzz(
  { name, run }: FuzzTarget, { firstSeed, maxCases, seconds }: { firstSeed: number; maxCases: number; seconds: number },
): Promise<FuzzReport> {
  const end = performance.now() + 1000 * seconds
  let slowest = { seed: firstSeed, ms: 0 }
  let cases = 0
  for (; cases < maxCases && (cases === 0 || performance.now() < end); cases++) {
    const seed = firstSeed + cases
    const start = performance.now()
    try {
      await run(new Prng(seed))
    } catch (error) {
      throw new Error(`${name} with SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
    const ms = performance.now() - start
    if (ms > slowest.ms) slowest = { seed, ms }
  }
  return { name, cases, slowest }
}

/** What `read` gives; null where it refuses with words for the user. Anything else that is thrown is a finding. */
export async function readOrRefused<T>(read: () => Promise<T> | T): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof RequestError)) throw error
    expect(error.message.length).toBeGreaterThan(0)
    expect(error.message.length).toBeLessThan(4000)
    return null
  }
}
