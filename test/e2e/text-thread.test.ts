/** The executable's own text thread: what is too long for the thread that answers requests. */
import { expect, test } from "bun:test"
import { fixture } from "../fixtures.ts"
import { post, serving } from "./serving.ts"

const { skip, server } = serving(fixture("models/llama"), ["--max-model-len", "256"])

async function count(prompt: string): Promise<number> {
  const response = await post(server(), "/tokenize", { prompt, add_special_tokens: false })
  expect(response.status).toBe(200)
  return ((await response.json()) as { count: number }).count
}

test.skipIf(skip)("long texts make the tokens that short ones make", async () => {
  const one = await count("12 ab\n")
  const prompts = Array.from({ length: 900 }, (_, i) => "12 ab\n".repeat(1 + (i % 20)))
  const response = await post(server(), "/v1/completions/render", { prompt: prompts, add_special_tokens: false })
  const rendered = (await response.json()) as { token_ids: number[] }[]
  expect(rendered.map(({ token_ids }) => token_ids.length)).toEqual(prompts.map((_, i) => one * (1 + (i % 20))))
})

test.skipIf(skip)("long conversations make the prompt that their messages make", async () => {
  const messages = Array.from({ length: 2000 }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant", content: `${i} ab`,
  }))
  const render = async (part: object[]) => {
    const response = await post(server(), "/tokenize", { messages: part, add_generation_prompt: false })
    return ((await response.json()) as { tokens: number[] }).tokens
  }
  const pairs = Array.from({ length: 1000 }, (_, i) => render(messages.slice(2 * i, 2 * i + 2)))
  expect(await render(messages)).toEqual((await Promise.all(pairs)).flat())
})

test.skipIf(skip)("bodies that are refused there are refused with the same words", async () => {
  const many = await post(server(), "/v1/completions", { prompt: Array.from({ length: 50_000 }, () => ({})) })
  const few = await post(server(), "/v1/completions", { prompt: [{}] })
  expect([many.status, await many.json()]).toEqual([400, await few.json()])
  const flood = await post(server(), "/v1/completions", { prompt: Array.from({ length: 200_000 }, () => ({})) })
  expect([flood.status, await flood.text()]).toEqual([400, expect.stringContaining("more than 131072 values")])
  expect((await fetch(`${server().url}/health`)).status).toBe(200)
})
