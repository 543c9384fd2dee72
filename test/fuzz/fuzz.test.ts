/** A short run of each target; `make fuzz` goes on for minutes. SEED repeats a run. */
import { expect, test } from "bun:test"
import { fuzz } from "./target.ts"
import { TARGETS } from "./targets.ts"

const SEED = Number(process.env["SEED"] ?? 1)
const NUM_CASES = 300

for (const target of TARGETS) {
  test(`${target.name}, with SEED=${SEED}`, async () => {
    const { cases } = await fuzz(target, { firstSeed: SEED, maxCases: NUM_CASES, seconds: 60 })
    expect(cases).toBeGreaterThan(0)
  }, 120_000)
}
