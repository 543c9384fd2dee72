/** A short run of each target; `make fuzz` goes on for minutes. SEED repeats a run. */
import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
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

const libraries = resolve(import.meta.dir, "../../build/lib/libbaozi_cpu.so")
if (!existsSync(libraries)) console.log("SKIPPED: hostile native calls; run `make native`")

test.skipIf(!existsSync(libraries))(`native calls, with SEED=${SEED}`, () => {
  // A finding may end the process.
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, resolve(import.meta.dir, "native-run.ts")], {
    env: { ...process.env, SEED: String(SEED), CASES: "2000" }, timeout: 100_000,
  })
  expect([stdout.toString(), stderr.toString(), exitCode]).toEqual([expect.stringContaining("cpu"), "", 0])
}, 120_000)
