/**
 * The simulator's plans, compared with recorded ones: a refactoring of the core that changes a plan is seen here.
 * A change that is meant to change plans records them anew, and says so in its commit:
 *   UPDATE=1 bun test test/sim/replay.test.ts
 */
import { hash } from "node:crypto"
import { join } from "node:path"
import { expect, test } from "bun:test"
import { PlanWriter } from "../../src/core/plan-codec.ts"
import { CORE } from "./core.ts"
import { emptyCoverage, simulate } from "./simulator.ts"

const RECORD = join(import.meta.dir, "recorded-plans.json")
const NUM_SEEDS = 40

/** One line a scenario: its number of plans, and a digest of all of them as messages. */
function digest(seed: number): string {
  const writer = new PlanWriter()
  let numPlans = 0
  let digest = ""
  simulate(CORE, seed, emptyCoverage(), (plan) => {
    numPlans += 1
    digest = hash("sha256", digest + JSON.stringify(writer.write(plan)), "hex")
  })
  return `${numPlans} plans ${digest.slice(0, 16)}`
}

test("the plans of the simulator are those that were recorded", async () => {
  const plans = Object.fromEntries(Array.from({ length: NUM_SEEDS }, (_, i) => [`seed ${i + 1}`, digest(i + 1)]))
  if (process.env["UPDATE"] === "1") await Bun.write(RECORD, `${JSON.stringify(plans, null, 2)}\n`)
  expect(plans).toEqual(await Bun.file(RECORD).json())
}, 60_000)
