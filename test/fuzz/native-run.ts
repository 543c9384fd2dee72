/**
 * Hostile calls of the kernel libraries in LIB_DIR=, at every instruction set that this machine has, for FUZZ_SECONDS=
 * in all or CASES= of each, from SEED=. A process of its own, as a finding ends it: each case is told before it runs
 * where TRACE=1.
 */
import { resolve } from "node:path"
import { preloadLibraries } from "../../ffi/preload.ts"
import { KernelLibrary } from "../../ffi/library.ts"
import { NativeStream } from "../../ffi/stream.ts"
import { locateLibraries } from "../../src/cli/libraries.ts"
import { nativeTarget } from "./native-calls.ts"
import { fuzz, type FuzzTarget } from "./target.ts"

const { env } = process
const directory = resolve(env["LIB_DIR"] || resolve(import.meta.dir, "../../build/lib"))
const seed = Number(env["SEED"] || crypto.getRandomValues(new Uint32Array(1))[0])
const total = Number(env["FUZZ_SECONDS"] || 60)
const maxCases = Number(env["CASES"] || Infinity)

preloadLibraries(locateLibraries().preload)
const targets: FuzzTarget[] = []
for (const name of ["ref", "cpu"]) {
  const library = KernelLibrary.open(resolve(directory, `libbaozi_${name}.so`))
  const levels = name === "cpu" ? (library.info()["features"] as string[]) : [null]
  for (const isa of levels) {
    targets.push(nativeTarget(`${name} ${isa ?? ""}`.trim(), NativeStream.create(library, { isa, numThreads: 2 })))
  }
}
console.log(`SEED=${seed}`)
for (const { name, run } of targets) {
  const traced: FuzzTarget = { name, run: (prng) => {
    if (env["TRACE"] === "1") console.log(`${name} ${traceCount++}`)
    return run(prng)
  } }
  let traceCount = 0
  const report = await fuzz(traced, { firstSeed: seed, maxCases, seconds: total / targets.length })
  console.log(`${name}: ${report.cases} calls`)
}
process.exit(0)
