/** Checkpoints and configs that say a thing in several ways are computed as the one that says it plainly. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { modelPathOf, readGolden, TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const llama = fixture("models/llama")
const yarn = fixture("models/llama-yarn")
const gguf = fixture("models/gguf-llama/Q8_0")
let root = ""
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "baozi-model-files-"))))
afterAll(() => rmSync(root, { recursive: true }))

async function expectGolden(dir: string, path: string, hfOverrides: Record<string, unknown> = {}) {
  const golden = await readGolden(dir)
  const engine = new TestEngine(path, { hfOverrides })
  try {
    const generated = engine.generate(golden.prompts, { maxTokens: golden.greedy[0]!.length })
    expect(generated.map((g) => g.tokenIds)).toEqual(golden.greedy.map((ids) => [...ids]))
    return { warnings: engine.model.warnings, maxModelLen: engine.model.plan.maxModelLen }
  } finally {
    engine.dispose()
  }
}

describe.skipIf(llama === null)("a safetensors checkpoint", () => {
  test("without architectures is told by its model_type", async () => {
    const { warnings } = await expectGolden(llama!, llama!, { architectures: null })
    expect(warnings).toEqual([])
  })

  test("whose config ties the output head, with a head of its own, uses it and says so", async () => {
    const { warnings } = await expectGolden(llama!, llama!, { tie_word_embeddings: true })
    expect(warnings).toEqual([expect.stringContaining("lm_head.weight that differs")])
  })
})

describe.skipIf(yarn === null)("YaRN", () => {
  test("lengthens a config that states the length before scaling, and computes the same", async () => {
    expect(await expectGolden(yarn!, yarn!, {})).toMatchObject({ maxModelLen: 512 })
    expect(await expectGolden(yarn!, yarn!, { max_position_embeddings: 64 })).toMatchObject({ maxModelLen: 256 })
  })

  test("may be asked for in the older section", async () => {
    const { factor, original } = { factor: 4, original: 64 }
    const rope_scaling = { type: "yarn", factor, original_max_position_embeddings: original }
    await expectGolden(yarn!, yarn!, { rope_scaling, rope_parameters: null, rope_theta: 10_000 })
  })
})

describe.skipIf(llama === null)("a context that scaling lengthens", () => {
  for (const type of ["linear", "dynamic", "yarn"])
    test(`${type}: the plan, the table and a request reach its end`, () => {
      const hfOverrides = { rope_scaling: { rope_type: type, factor: 2 } }
      const engine = new TestEngine(llama!, { hfOverrides })
      try {
        expect(engine.model.plan).toMatchObject({ maxModelLen: 1024, modelMaxLen: 1024 })
        const prompt = Array.from({ length: 1020 }, (_, i) => 3 + (i % 500))
        const [result] = engine.generate([prompt], { maxTokens: 4 })
        expect(result!.tokenIds).toHaveLength(4)
      } finally {
        engine.dispose()
      }
      expect(() => new TestEngine(llama!, { hfOverrides, maxModelLen: 1025 })).toThrow(/more than the 1024 positions/)
    })
})

test.skipIf(llama === null)("frequencies follow the length that is asked for, not what memory has room for", () => {
  const prompt = Array.from({ length: 100 }, (_, i) => 3 + (i % 500))
  const tokens = (overrides: Partial<EngineConfig>) => {
    const hfOverrides = { rope_scaling: { rope_type: "dynamic", factor: 8, rope_theta: 10 } }
    const engine = new TestEngine(llama!, { hfOverrides, ...overrides })
    try {
      return [engine.model.plan.maxModelLen, engine.generate([prompt], { maxTokens: 12 })[0]!.tokenIds] as const
    } finally {
      engine.dispose()
    }
  }
  const [length, wanted] = tokens({})
  const [fitted, short] = tokens({ numBlocksOverride: 20 })
  expect([length, fitted < 512]).toEqual([4096, true])
  expect(short).toEqual(wanted)
  // Within the original length nothing is stretched.
  expect(tokens({ maxModelLen: 512 })[1]).not.toEqual(wanted)
})

test.skipIf(gguf === null)("a GGUF file is the same model under any name", async () => {
  const blob = join(root, `sha256-${"0".repeat(64)}`)
  cpSync(modelPathOf(gguf!), blob)
  await expectGolden(gguf!, blob)
})
