/**
 * The compiled executable, serving the default model in float32, answers as the reference server was recorded to:
 * texts, log-probabilities, usage, refusals, and each answer is one that its own OpenAPI document tells of. Cases where
 * this server differs on purpose are listed by name, each with its reason.
 */
import { beforeAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fixture } from "../fixtures.ts"
import { operationAt, operationsOf, untold, type OpenApiDocument, type Operation } from "../tools/openapi.ts"
import { judge, parsed, send, type RecordedCase } from "../tools/recording.ts"
import { defaultModel } from "./models.ts"
import { serving } from "./serving.ts"

/** Case names, and how this server differs on purpose (docs/compatibility.md). */
const ON_PURPOSE: readonly (readonly [RegExp, string])[] = [
  [/^messages\/no-max-tokens/, "errors of /v1/messages have Anthropic's names"],
  [/^(completions|chat)\/refuse\/too-long/, "the code of a prompt that is too long is OpenAI's"],
  [/^chat\/tool-(auto-text|result)/, "tools, calls and results that the template has no place for are shown all the same"],
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
  let operations: Operation[] = []
  beforeAll(async () => {
    operations = operationsOf((await (await fetch(`${server().url}/docs/json`)).json()) as OpenApiDocument)
  })

  for (const recorded of cases) {
    const { name } = recorded
    const other = ON_PURPOSE.find(([names]) => names.test(name))
    const why = other ? `: ${other[1]}` : ""
    test.skipIf(why !== "")(name + why, async () => {
      const answer = await send(server().url, recorded)
      expect(judge(recorded, parsed(answer))).toEqual([])
      const operation = operationAt(operations, recorded.method ?? "POST", recorded.path)
      expect(operation === null ? [] : untold(operation, answer)).toEqual([])
    }, 120_000)
  }
})
