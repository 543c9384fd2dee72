/** The compiled executable holds its answers to grammars: whatever is drawn, with and without drafts. */
import { describe, expect, test } from "bun:test"
import Ajv from "ajv"
import { defaultModel } from "./models.ts"
import { serving } from "./serving.ts"

const MODEL = ["--served-model-name", "m", "--max-model-len", "2048"]
const NGRAM = '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}'
const ajv = new Ajv()

const SCHEMA = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 12 }, age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { enum: ["a", "b", "c"] }, minItems: 1, maxItems: 3 },
    isGrown: { type: "boolean" },
  },
  required: ["name", "age", "tags", "isGrown"], additionalProperties: false,
}
const isValid = ajv.compile(SCHEMA)

interface Choice {
  readonly text: string
  readonly finish_reason: string
}

describe.each([["plain", []], ["with drafts", ["--speculative-config", NGRAM]]] as const)("%s", (_, flags) => {
  const { skip, server } = serving(defaultModel(), [...MODEL, ...flags])

  async function complete(body: Record<string, unknown>): Promise<{ status: number; choices: Choice[]; json: any }> {
    const answer = await fetch(`${server().url}/v1/completions`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", prompt: "Anna is 31. As JSON: ", max_tokens: 200, ...body }),
    })
    const json = await answer.json() as any
    return { status: answer.status, choices: json.choices ?? [], json }
  }

  test.skipIf(skip)("every answer that ends is of the schema, and one that is cut short can still become so", async () => {
    const asked = Array.from({ length: 12 }, (_, seed) => complete({
      structured_outputs: { json: SCHEMA, disable_any_whitespace: true }, temperature: 1.5, seed, n: 2,
      max_tokens: seed < 10 ? 200 : 12,
    }))
    let numCut = 0
    for (const { status, choices } of await Promise.all(asked)) {
      expect([status, choices.length]).toEqual([200, 2])
      for (const { text, finish_reason: reason } of choices) {
        if (reason === "stop") expect([text, isValid(JSON.parse(text))]).toEqual([text, true])
        else numCut += 1
        expect(text.startsWith('{"name":"')).toBe(true)
      }
    }
    expect(numCut).toBe(4)
  }, 120_000)

  test.skipIf(skip)("regexes, choices and grammars, greedy and with a seed", async () => {
    const choice = await complete({ structured_outputs: { choice: ["red", "green"] }, temperature: 2, seed: 3, n: 4 })
    for (const { text } of choice.choices) expect(["red", "green"]).toContain(text)
    const regex = await complete({ structured_outputs: { regex: "[0-9]{4}-[a-f]{2}" }, temperature: 0 })
    expect(regex.choices[0]).toMatchObject({ text: expect.stringMatching(/^[0-9]{4}-[a-f]{2}$/), finish_reason: "stop" })
    const ebnf = await complete({ structured_outputs: { grammar: 'root ::= "x" root | "y"' }, max_tokens: 30, seed: 1 })
    expect(ebnf.choices[0]!.text).toMatch(/^x*y?$/)
  }, 60_000)

  test.skipIf(skip)("answers of other requests are what they are alone", async () => {
    const free = { prompt: "The sun rises in the", max_tokens: 24, temperature: 0 }
    const alone = await complete(free)
    const beside = { structured_outputs: { json: SCHEMA }, temperature: 1, seed: 5 }
    const [together] = await Promise.all([complete(free), complete(beside), complete(beside)])
    expect(together!.choices[0]!.text).toBe(alone.choices[0]!.text)
  }, 60_000)

  test.skipIf(skip)("what cannot be followed is a 400 before anything is sent, in a stream too", async () => {
    const body = { structured_outputs: { regex: "((" }, stream: true }
    expect(await complete(body)).toMatchObject({ status: 400, json: { error: { type: "BadRequestError" } } })
    const schema = { type: "string", pattern: "a(?=b)" }
    const { json } = await complete({ structured_outputs: { json: schema } })
    expect(json.error.message).toContain('"pattern"')
  }, 60_000)
})
