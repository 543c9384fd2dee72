/**
 * The compiled executable, serving the default model in float32, answers as the reference server was recorded to: texts,
 * log-probabilities, usage, refusals. Cases that need what is not built yet are listed by name, each with its reason.
 */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fixture } from "../fixtures.ts"
import { judge, send, type RecordedCase } from "../tools/recording.ts"
import { defaultModel } from "./models.ts"
import { serving } from "./serving.ts"

const GROUPS = /^(completions|chat|tokenize|detokenize|http)\//

/** Case names, and what they need that is not there yet. */
const NOT_YET: readonly (readonly [RegExp, string])[] = [
  [/beam/, "beam search"],
  [/^(completions|chat)\/(json|regex|choice|grammar|response-format|tool-(named|required))/, "structured output"],
]

const path = fixture("vllm-api/recording.json")
const model = defaultModel()
const flags = [
  "--served-model-name", "smollm2", "--dtype", "float32", "--max-model-len", "2048", "--enable-auto-tool-choice",
  "--tool-call-parser", "hermes", "--enable-prompt-tokens-details",
]
const { skip, server } = serving(path === null ? null : model, flags)
const cases = path === null ? [] : (JSON.parse(readFileSync(path, "utf8")) as RecordedCase[])

describe.skipIf(skip)("recorded answers", () => {
  for (const recorded of cases.filter(({ name }) => GROUPS.test(name))) {
    const missing = NOT_YET.find(([names]) => names.test(recorded.name) && !recorded.name.includes("/refuse/"))
    test.skipIf(missing !== undefined)(recorded.name + (missing ? `: needs ${missing[1]}` : ""), async () => {
      expect(judge(recorded, await send(server().url, recorded))).toEqual([])
    }, 120_000)
  }
})
