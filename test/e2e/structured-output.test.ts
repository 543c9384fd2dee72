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

  test.skipIf(skip)("every answer that ends is of the schema; one that is cut short can become so", async () => {
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
    const matching = expect.stringMatching(/^[0-9]{4}-[a-f]{2}$/)
    expect(regex.choices[0]).toMatchObject({ text: matching, finish_reason: "stop" })
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

const number = { type: "integer", minimum: -1000, maximum: 1000 }
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather", description: "The weather of a city",
      parameters: {
        type: "object", properties: { city: { type: "string", maxLength: 20 }, unit: { enum: ["c", "f"] } },
        required: ["city", "unit"], additionalProperties: false,
      },
    },
  },
  {
    type: "function",
    function: {
      name: "add",
      parameters: {
        type: "object", properties: { a: number, b: number }, required: ["a", "b"], additionalProperties: false,
      },
    },
  },
]
const areArguments = new Map(tools.map(({ function: { name, parameters } }) => [name, ajv.compile(parameters)]))

interface Call {
  readonly function: { readonly name: string; readonly arguments: string }
}

function expectCalls(calls: readonly Call[], names: readonly string[]): void {
  for (const { function: { name, arguments: json } } of calls) {
    expect(names).toContain(name)
    expect([json, areArguments.get(name)!(JSON.parse(json))]).toEqual([json, true])
  }
}

const PARSERS: readonly (readonly [string, readonly string[]])[] = [
  ["no parser", ["--tool-call-parser", "none"]],
  ...["hermes", "llama3_json", "mistral", "pythonic"].map((name) =>
    [name, ["--tool-call-parser", name]] as const),
  ["hermes behind reasoning",
    ["--tool-call-parser", "hermes", "--reasoning-parser", "deepseek_r1"]],
]

describe.each(PARSERS)("calls that have to be made, %s", (name, flags) => {
  const { skip, server } = serving(defaultModel(), [...MODEL, ...flags])
  const thinks = name.includes("reasoning")

  async function post(path: string, body: Record<string, unknown>): Promise<any> {
    const answer = await fetch(`${server().url}${path}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ model: "m", ...body }),
    })
    const text = await answer.text()
    expect([answer.status, text]).toEqual([200, text])
    return text.startsWith("{") ? JSON.parse(text) : text
  }

  const chat = (body: Record<string, unknown>): Promise<any> => post("/v1/chat/completions", {
    messages: [{ role: "user", content: "How warm is it in Oslo?" }], tools, max_tokens: 400, temperature: 1.5,
    ...(thinks ? { thinking_token_budget: 8 } : {}), ...body,
  })

  test.skipIf(skip)("required: one of the tools, with its arguments", async () => {
    const asked = [1, 2, 3, 4].map((seed) => chat({ tool_choice: "required", parallel_tool_calls: false, seed, n: 2 }))
    for (const { choices } of await Promise.all(asked)) {
      expect(choices).toHaveLength(2)
      for (const { message, finish_reason: reason } of choices) {
        expect([reason, message.content, message.tool_calls.length]).toEqual(["tool_calls", "", 1])
        expectCalls(message.tool_calls, ["get_weather", "add"])
        expect(typeof message.reasoning).toBe(thinks ? "string" : "object")
      }
    }
  }, 120_000)

  test.skipIf(skip)("a named one, streamed: the pieces join to its arguments", async () => {
    const choice = { type: "function", function: { name: "add" } }
    const text: string = await chat({ tool_choice: choice, seed: 1, stream: true })
    const lines = text.split("\n").filter((line) => line.startsWith("data: {"))
    const choices = lines.flatMap((line) => JSON.parse(line.slice(6)).choices)
    const pieces = choices.flatMap(({ delta }) => delta.tool_calls ?? [])
    const joined = pieces.map((piece) => piece.function.arguments ?? "").join("")
    expectCalls([{ function: { name: pieces[0].function.name, arguments: joined } }], ["add"])
    expect(choices.map((each) => each.finish_reason).filter((reason) => reason !== null)).toEqual(["stop"])
    expect(choices.map(({ delta }) => delta.content ?? "").join("")).toBe("")
  }, 60_000)

  test.skipIf(skip)("through /v1/responses and /v1/messages", async () => {
    const flat = tools.map(({ function: each }) => ({ type: "function", ...each }))
    const budget = thinks ? { thinking_token_budget: 8 } : {}
    const response = await post("/v1/responses", {
      input: "Add 2 and 3.", tools: flat, tool_choice: { type: "function", name: "add" }, max_output_tokens: 400,
      ...budget,
    })
    const call = response.output.find(({ type }: { type: string }) => type === "function_call")
    expectCalls([{ function: call }], ["add"])
    if (thinks) return // /v1/messages states the budget in another way
    const message = await post("/v1/messages", {
      messages: [{ role: "user", content: "Add 2 and 3." }], tool_choice: { type: "any" }, max_tokens: 400,
      tools: tools.map(({ function: { name: called, parameters } }) => ({ name: called, input_schema: parameters })),
    })
    const uses = message.content.filter(({ type }: { type: string }) => type === "tool_use")
    expect([message.stop_reason, uses.length > 0]).toEqual(["tool_use", true])
    expectCalls(uses.map((use: any) => ({ function: { name: use.name, arguments: JSON.stringify(use.input) } })),
      ["get_weather", "add"])
  }, 120_000)

  test.skipIf(skip)("a format holds for what follows the reasoning", async () => {
    const { choices: [{ message, finish_reason: reason }] } = await chat({
      tools: undefined, structured_outputs: { json: SCHEMA, disable_any_whitespace: true },
    })
    expect([reason, isValid(JSON.parse(message.content))]).toEqual(["stop", true])
    expect(typeof message.reasoning).toBe(thinks ? "string" : "object")
  }, 60_000)
})
