/**
 * `make fuzz`: every target in turn, for FUZZ_SECONDS= in all (180), from SEED= (a new one, printed). TARGET= runs one.
 * A finding tells the seed that repeats it: make fuzz TARGET=gguf SEED=7.
 */
import { fuzz } from "./target.ts"
import { TARGETS } from "./targets.ts"

const seed = Number(process.env["SEED"] || crypto.getRandomValues(new Uint32Array(1))[0])
const total = Number(process.env["FUZZ_SECONDS"] || 180)
const only = process.env["TARGET"] || null
const targets = TARGETS.filter(({ name }) => only === null || name === only)
if (targets.length === 0) {
  console.error(`TARGET is one of ${TARGETS.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}
console.log(`SEED=${seed}`)
for (const target of targets) {
  const seconds = total / targets.length
  const { name, cases, slowest } = await fuzz(target, { firstSeed: seed, maxCases: Infinity, seconds })
  console.log(`${name}: ${cases} cases, the slowest took ${slowest.ms.toFixed(0)} ms (SEED=${slowest.seed})`)
}
