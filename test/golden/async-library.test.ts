/**
 * The suites of the engine once more on native/async: the CPU's kernels behind a library that runs nothing before it is
 * waited for. What reads too early, or writes too early, comes out wrong there. Two steps are in flight.
 */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { existsSync } from "node:fs"

const ROOT = join(import.meta.dir, "../..")
const SUITES = [
  ...["models", "logprobs", "memory", "sampling-order", "step-engine", "logits-processors", "poisoned-model",
    "speculation", "quantization", "schedules", "deepseek-variants", "state-space",
  ].map((name) => `test/golden/${name}.test.ts`),
  ...["batch-invariance", "mixed-sampling", "prompt-logprobs"].map((name) => `test/property/${name}.test.ts`),
]
const TIMEOUT_MS = 20 * 60_000
const isRepeated = process.env["BAOZI_TEST_BACKEND"] === "async"
const isBuilt = existsSync(join(ROOT, "build/lib/libbaozi_async.so"))
if (!isBuilt) console.log("SKIPPED: build/lib/libbaozi_async.so is not built")

test.skipIf(isRepeated || !isBuilt)("all is the same on a library that runs everything late", async () => {
  const child = Bun.spawn([process.execPath, "test", "--timeout", "120000", ...SUITES], {
    cwd: ROOT, env: { ...process.env, BAOZI_TEST_BACKEND: "async" }, stdout: "pipe", stderr: "pipe",
  })
  const [out, words, status] = await Promise.all([
    new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited,
  ])
  const counted = /^ *(\d+) pass$/m.exec(words)
  if (status !== 0) console.log(out + words)
  expect(status).toBe(0)
  expect(Number(counted?.[1])).toBeGreaterThan(80)
}, TIMEOUT_MS)
