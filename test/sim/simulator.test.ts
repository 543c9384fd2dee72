import { describe, expect, test } from "bun:test"
import { CORE } from "./core.ts"
import { loadMutant, MUTANTS } from "./mutants.ts"
import { simulateFor } from "./simulate-for.ts"
import { emptyCoverage, simulate } from "./simulator.ts"

const seconds = Number(process.env["BAOZI_SIM_SECONDS"] ?? 5)
const seed = process.env["SEED"]

describe("simulator", () => {
  test("every request gets what it gets alone", () => {
    if (seed !== undefined) return simulate(CORE, Number(seed), emptyCoverage())
    // Always the same seeds, so that a change is judged by what it changed; `make sim` draws new ones.
    const seen = simulateFor(CORE, { seconds, firstSeed: 1 })
    console.log(`simulated ${seen.scenarios} scenarios from SEED=${seen.firstSeed}: ${JSON.stringify(seen)}`)
  }, 1000 * (seconds + 60))

  test("the scenarios go through everything that they are meant to test", () => {
    const coverage = emptyCoverage()
    for (let s = 1; s <= 60; s++) simulate(CORE, s, coverage)
    for (const [what, count] of Object.entries(coverage)) expect(count, what).toBeGreaterThan(0)
  }, 60_000)

  // Requests of equal priority and arrival once preempted each other for ever, each as it was about to finish.
  test("equals do not starve each other", () => simulate(CORE, 557640942, emptyCoverage()), 60_000)

  test("a seed always gives the same run", () => {
    const runs = [emptyCoverage(), emptyCoverage()]
    for (const coverage of runs) for (let s = 1; s <= 5; s++) simulate(CORE, s, coverage)
    expect(runs[0]).toEqual(runs[1] as (typeof runs)[number])
  }, 60_000)
})

describe("the simulator sees", () => {
  for (const mutant of MUTANTS) {
    test(mutant.name, async () => {
      const broken = await loadMutant(mutant)
      try {
        expect(() => {
          for (let s = 1; s <= 1500; s++) simulate(broken, s, emptyCoverage())
        }).toThrow(/^SEED=/)
      } finally {
        broken.dispose()
      }
    }, 60_000)
  }
})
