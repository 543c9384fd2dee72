import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI from "openai"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess, type ServerProcess } from "./server-process.ts"

/** The `openai` package's round against the executable and the default model. */
const built = executable()
const model = defaultModel()
const QUESTION = [{ role: "user" as const, content: "What is the capital of France?" }]
const ANSWER = "The capital of France is Paris."

describe.skipIf(built === null || model === null)("the openai client against the executable", () => {
  let dir: string
  let server: ServerProcess
  let client: OpenAI

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "baozi-openai-"))
    const flags = ["--served-model-name", "smol", "alias", "--max-model-len", "4096", "--api-key", "secret"]
    server = await startServerProcess([built!, "serve", model!, ...flags], { cwd: dir, env: { XDG_CACHE_HOME: dir } })
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "secret", maxRetries: 0 })
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    rmSync(dir, { recursive: true })
  })

  test("lists the models", async () => {
    const models = await client.models.list()
    expect(models.data.map(({ id }) => id)).toEqual(["smol", "alias"])
  })

  test("is refused without the key", async () => {
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "guess", maxRetries: 0 })
    expect(await statusOf(stranger.models.list())).toBe(401)
  })

  test("gets a chat answer", async () => {
    const chat = await client.chat.completions.create({
      model: "alias", messages: QUESTION, temperature: 0, max_tokens: 20,
    })
    expect(chat.choices[0]).toMatchObject({ finish_reason: "stop", message: { role: "assistant", content: ANSWER } })
    expect(chat.model).toBe("smol")
    expect(chat.usage).toMatchObject({ prompt_tokens: 37, completion_tokens: 8, total_tokens: 45 })
  }, 30_000)

  test("streams the same answer, and its usage", async () => {
    const stream = await client.chat.completions.create({
      model: "smol", messages: QUESTION, temperature: 0, max_tokens: 20, stream: true,
      stream_options: { include_usage: true },
    })
    let text = ""
    let total = 0
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ""
      total = chunk.usage?.total_tokens ?? total
    }
    expect([text, total]).toEqual([ANSWER, 45])
  }, 30_000)

  test("completes a text, n times, each by its own seed", async () => {
    const ask = () => client.completions.create({
      model: "smol", prompt: "Once upon a time", max_tokens: 8, n: 3, temperature: 1, seed: 7,
    })
    const first = (await ask()).choices.map(({ text }) => text)
    expect(new Set(first).size).toBe(3)
    expect((await ask()).choices.map(({ text }) => text)).toEqual(first)
  }, 30_000)

  test("an aborted stream leaves nothing running", async () => {
    const stream = await client.completions.create({
      model: "smol", prompt: "1 2 3 4", max_tokens: 3000, stream: true, temperature: 0,
    })
    for await (const _ of stream) break
    stream.controller.abort()
    const running = async () => {
      const headers = { authorization: "Bearer secret" }
      const text = await (await fetch(`${server.url}/metrics`, { headers })).text()
      return [...text.matchAll(/^vllm:num_requests_(?:running|waiting)\{.*\} (\S+)$/gm)].map((match) => Number(match[1]))
    }
    const deadline = performance.now() + 5000
    let counts = await running()
    while (counts.some((count) => count !== 0) && performance.now() < deadline) {
      await Bun.sleep(20)
      counts = await running()
    }
    expect(counts).toEqual([0, 0])
  }, 30_000)

  test("an unknown model and a prompt that is too long are told apart", async () => {
    expect(await statusOf(client.completions.create({ model: "other", prompt: "x" }))).toBe(404)
    const tooLong = "word ".repeat(5000)
    expect(await statusOf(client.completions.create({ model: "smol", prompt: tooLong }))).toBe(400)
  })
})

/** The HTTP status of the error that a call ends in. */
async function statusOf(call: PromiseLike<unknown>): Promise<number | undefined> {
  try {
    await call
  } catch (error) {
    if (error instanceof OpenAI.APIError) return error.status
    throw error
  }
  throw new Error("the call did not fail")
}
