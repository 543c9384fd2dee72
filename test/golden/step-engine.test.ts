import { expect, test } from "bun:test"
import { StepEngine } from "../../src/bench/step-engine.ts"
import { engineConfig, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/llama")

test.skipIf(dir === null)("steps after prompts that were not computed are those after prompts that were", () => {
  const engine = StepEngine.load(engineConfig(modelPathOf(dir!), { maxModelLen: 128, maxNumBatchedTokens: 64 }))
  try {
    const prompts = [40, 50, 3].map((length, i) => Array.from({ length }, (_, at) => 3 + ((at * 7 + i * 31) % 400)))
    engine.addComputed(prompts, 9)
    const after = engine.run()
    expect(after.length).toBeGreaterThan(4)
    expect(after.every(({ isDecode }) => isDecode)).toBe(true)
    for (const prompt of prompts) engine.add(prompt.map((id) => id + 1), 9)
    const computed = engine.run().filter(({ isDecode }) => isDecode)
    const costs = (steps: typeof after) => steps.slice(-4).map(({ cost }) => cost)
    expect(costs(after)).toEqual(costs(computed))
  } finally {
    engine.dispose()
  }
})
