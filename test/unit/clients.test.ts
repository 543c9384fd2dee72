/** What `make clients` is built of: a model that says what a script wants, and a look at results and logs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadTokenizerFromDirectory } from "../../src/text/load-tokenizer.ts"
import type { Tokenizer } from "../../src/text/tokenizer.ts"
import { writeScriptedModel } from "../clients/model.ts"
import { SCRIPT_VARIABLE, toolCall, writeScript } from "../clients/script.ts"
import scriptedAnswers from "../clients/scripted-answers.ts"
import { judge } from "../clients/sdk.ts"
import { summarize } from "../clients/session.ts"

let directory = ""
let tokenizer: Tokenizer
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "baozi-clients-"))
  writeScriptedModel(join(directory, "model"))
  tokenizer = await loadTokenizerFromDirectory(join(directory, "model"))
}, 120_000)
afterAll(() => rmSync(directory, { recursive: true }))

/** What the model says to `prompt`, as the engine samples it: the one token that is allowed, until its turn ends. */
function answer(prompt: string): string {
  const tokenIds = tokenizer.encode(prompt)
  const numPromptTokens = tokenIds.length
  const row = scriptedAnswers().add({ requestId: "r", tokenIds, numPromptTokens, args: {}, temperature: 1 })!
  const logits = new Float32Array(tokenizer.vocabSize)
  for (let i = 0; i < 100; i++) {
    logits.fill(0)
    row.apply(logits)
    const allowed = logits.findIndex((value) => value > -Infinity)
    expect(allowed).toBe(logits.findLastIndex((value) => value > -Infinity))
    if (allowed === tokenizer.eosTokenId) return tokenizer.decode(tokenIds.slice(numPromptTokens))
    tokenIds.push(allowed)
  }
  throw new Error("the answer has no end")
}

describe("the scripted model", () => {
  beforeAll(async () => {
    const path = join(directory, "script.json")
    const call = `I look, naïvely. 🌍\n${toolCall("look", { at: "你好" })}`
    await writeScript(path, join(directory, "model"), [
      { when: ["Where?", "It is — there."], say: "There." },
      { when: ["Where?"], say: call },
    ])
    process.env[SCRIPT_VARIABLE] = path
  }, 120_000)
  afterAll(() => {
    delete process.env[SCRIPT_VARIABLE]
  })

  test("has the tensors that its header tells of", () => {
    const path = join(directory, "model/model.safetensors")
    const bytes = readFileSync(path)
    const length = Number(bytes.readBigUInt64LE(0))
    const header: unknown = JSON.parse(bytes.toString("utf8", 8, 8 + length))
    const tensors = Object.values(header as Record<string, { data_offsets: [number, number] }>)
    const ends = tensors.map(({ data_offsets }) => data_offsets[1])
    expect(8 + length + Math.max(...ends)).toBe(statSync(path).size)
  })

  test("says the first line whose texts are all in the prompt", () => {
    expect(answer("<|im_start|>user\nWhere?<|im_end|>")).toBe(
      'I look, naïvely. 🌍\n<tool_call>\n{"name": "look", "arguments": {"at": "你好"}}\n</tool_call>',
    )
    expect(answer("Where? It is — there.")).toBe("There.")
  })

  test("refuses a prompt that no line is for, so that a lost conversation is seen", () => {
    expect(() => answer("It is — there.")).toThrow("the script has no line for a prompt")
  })
})

describe("results", () => {
  test("as wanted, but for white space around texts", () => {
    judge({ models: ["scripted"], chat: "\n\nHello, naïve café: 你好, 🌍!", refused: 400 })
  })

  test.each([
    [{ chat: "Hello" }, /^chat: "Hello" instead of "Hello, naïve/],
    [{ "chat tools": "Hello, naïve café: 你好, 🌍!" }, /instead of "It is 4 °C/],
    [{ refused: null }, /^refused: null instead of 400$/],
    [{}, /^no results$/],
  ])("otherwise: %j", (results, says) => expect(() => judge(results)).toThrow(says))
})

test("a server's log tells of requests, refusals and warnings", () => {
  const answered = { time: "t", level: "info", message: "answered" }
  const lines = [
    { ...answered, method: "GET", path: "/v1/models", status: 200 },
    { ...answered, method: "POST", path: "/v1/messages", status: 400 },
    { ...answered, method: "POST", path: "/v1/messages", id: "m" },
    { time: "t", level: "warning", message: "ignored an unknown request field", field: "thread" },
  ]
  const log = ["not JSON", ...lines.map((line) => JSON.stringify(line)), ""].join("\n")
  expect(summarize(log)).toEqual({
    requests: ["GET /v1/models", "POST /v1/messages", "POST /v1/messages"],
    refused: [400],
    warnings: ["ignored an unknown request field field=thread"],
  })
})
