/** `baozi bench engine` from the executable: every layer runs over the backend that computes nothing. */
import { describe, expect, test } from "bun:test"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"

const built = executable()
const model = defaultModel()

describe.skipIf(built === null || model === null)("baozi bench engine", () => {
  test("measures each layer, and a step's parts", () => {
    const flags = ["--streams", "3", "--input-len", "4", "--output-len", "5", "--rounds", "1", "--json", "-"]
    const { exitCode, stdout, stderr } = Bun.spawnSync([built!, "bench", "engine", model!, ...flags])
    expect([exitCode, stderr.toString()]).toEqual([0, ""])
    const report = JSON.parse(stdout.toString()) as {
      steps: { numRequests: number; totalUs: number }[]
      layers: { layer: string; numStreams: number; tokensPerSecond: number }[]
    }
    expect(report.steps.map(({ numRequests }) => numRequests)).toEqual([1, 3])
    expect(report.layers.filter(({ numStreams }) => numStreams === 3)).toHaveLength(4)
    for (const { tokensPerSecond } of report.layers) expect(tokensPerSecond).toBeGreaterThan(0)
  }, 60_000)
})
