import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { checkGenerationDefaults } from "../../../src/engine/generation-defaults.ts"

describe("a generation config", () => {
  test.each([
    {}, { temperature: 0 }, { temperature: 2, top_p: 1, min_p: 0 }, { top_k: -1 }, { top_k: 0 }, { top_k: 50 },
    { repetition_penalty: 0.5 }, { max_new_tokens: 1 }, { max_new_tokens: 2 ** 40 },
  ])("with %j is served", (defaults) => {
    expect(() => checkGenerationDefaults(defaults as Record<string, number>)).not.toThrow()
  })

  test.each<[Record<string, number>, string]>([
    [{ temperature: -0.1 }, "temperature must be in [0, 2], got -0.1"],
    [{ temperature: 3 }, "temperature must be in [0, 2], got 3"],
    [{ top_p: 0 }, "top_p must be in (0, 1], got 0"],
    [{ top_p: 1.01 }, "top_p must be in (0, 1], got 1.01"],
    [{ top_k: -2 }, "top_k must be"],
    [{ top_k: 1.5 }, "top_k must be"],
    [{ min_p: -1 }, "min_p must be in [0, 1], got -1"],
    [{ repetition_penalty: 0 }, "repetition_penalty must be greater than zero"],
    [{ max_new_tokens: 0 }, "max_new_tokens must be at least 1, got 0"],
    [{ max_new_tokens: 2.5 }, "max_new_tokens must be at least 1, got 2.5"],
  ])("with %j is refused", (defaults, words) => {
    expect(() => checkGenerationDefaults(defaults)).toThrow(ConfigError)
    expect(() => checkGenerationDefaults(defaults)).toThrow(`generation config: ${words}`)
  })
})
