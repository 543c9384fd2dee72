/**
 * Runs scenario after scenario and prints what they went through; stops at the first that fails.
 *   bun test/sim/run.ts            SECONDS=30 from a random seed
 *   SEED=7 bun test/sim/run.ts     that scenario alone
 */
import { CORE } from "./core.ts"
import { simulateFor } from "./simulate-for.ts"
import { emptyCoverage, simulate } from "./simulator.ts"

const seed = process.env["SEED"]
if (seed !== undefined) {
  const coverage = emptyCoverage()
  simulate(CORE, Number(seed), coverage)
  console.log(coverage)
} else {
  const seconds = Number(process.env["SECONDS"] ?? 30)
  console.log(simulateFor(CORE, { seconds, firstSeed: Math.floor(Math.random() * 2 ** 31) }))
}
