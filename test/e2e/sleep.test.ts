/** Pauses and sleep of the compiled executable: memory goes back to the system, and answers are the same afterwards. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { defaultModel } from "./models.ts"
import { metric, post, serving, until } from "./serving.ts"

const MIB = 2 ** 20
const { skip, server } = serving(defaultModel(), ["--served-model-name", "smollm2", "--block-size", "16"])

/** Bytes of the process that are in memory. */
function resident(): number {
  const pages = Number(readFileSync(`/proc/${server().pid}/statm`, "utf8").split(" ")[1])
  return pages * 4096
}

async function answer(prompt = "The capital of France is"): Promise<{ text: string; cached: number }> {
  const body = { prompt, max_tokens: 8, temperature: 0 }
  const { choices, usage } = (await (await post(server(), "/v1/completions", body)).json()) as {
    choices: { text: string }[], usage: { prompt_tokens_details: { cached_tokens: number } },
  }
  return { text: choices[0]!.text, cached: usage.prompt_tokens_details.cached_tokens }
}

async function ask(path: string): Promise<unknown> {
  return (await fetch(server().url + path, { method: path.startsWith("/is_") ? "GET" : "POST" })).json()
}

describe.skipIf(skip)("sleep", () => {
  test("gives the weights back, and at level 2 the KV cache; waking up brings the same answers", async () => {
    const long = "Paris is a city. ".repeat(10)
    const before = await answer(long)
    const awake = resident()
    for (const level of [1, 2]) {
      expect(await ask(`/sleep?level=${level}`)).toEqual({ status: "sleeping", level })
      expect(await ask("/is_sleeping")).toEqual({ is_sleeping: true })
      // The model's file has 92 MB; its weights are laid out in no less.
      await until("the memory", async () => awake - resident() > 80 * MIB, 10_000)
      const waiting = answer(long)
      await until("the request", async () => (await metric(server(), "vllm:num_requests_waiting")) === 1)
      expect((await fetch(`${server().url}/health`)).status).toBe(200)
      expect(await ask("/wake_up")).toEqual({ status: "awake", tags: null })
      const { text, cached } = await waiting
      expect(text).toBe(before.text)
      if (level === 1) expect(cached).toBeGreaterThan(0)
      else expect(cached).toBe(0)
    }
  }, 120_000)

  test("keeps requests that run, and they end as if nothing had been", async () => {
    const alone = await answer("Once upon a time")
    const running = answer("Once upon a time")
    await ask("/sleep?level=2&mode=keep")
    await ask("/wake_up")
    expect((await running).text).toBe(alone.text)
  }, 120_000)
})
