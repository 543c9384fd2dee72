import { type Core, type Coverage, emptyCoverage, simulate } from "./simulator.ts"

/** Runs scenarios of consecutive seeds for a while. Throws the first failure, which names its seed. */
export function simulateFor(
  core: Core,
  options: { seconds: number; firstSeed: number },
): Coverage & { scenarios: number; firstSeed: number } {
  const coverage = emptyCoverage()
  const end = performance.now() + 1000 * options.seconds
  let seed = options.firstSeed
  for (; performance.now() < end || seed === options.firstSeed; seed++) simulate(core, seed, coverage)
  return { scenarios: seed - options.firstSeed, firstSeed: options.firstSeed, ...coverage }
}
