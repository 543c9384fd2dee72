/** The compiled executable with a logits processor of its operator's: what needs the engine's thread and a model. */
import { describe, expect, test } from "bun:test"
import { resolve } from "node:path"
import { defaultModel } from "./models.ts"
import { post, serving } from "./serving.ts"

const EXAMPLE = resolve(import.meta.dir, "../../docs/examples/no-repeated-ngrams.ts")
const { skip, server } = serving(defaultModel(), [
  "--served-model-name", "m", "--logits-processors", EXAMPLE, "--block-size", "16", "--max-model-len", "1024",
  "--reasoning-config", '{"reasoning_start_str": "<think>", "reasoning_end_str": " Enough.</think>"}',
])

async function complete(fields: Record<string, unknown>) {
  const response = await post(server(), "/v1/completions", { model: "m", temperature: 0, ...fields })
  return { status: response.status, json: (await response.json()) as any }
}

describe.skipIf(skip)("sampling", () => {
  const looping = { prompt: "la la la la la la la la la la", max_tokens: 24, return_token_ids: true }
  const repeats = (ids: number[]) => ids.length - 1 - new Set(ids.slice(1).map((id, i) => `${ids[i]},${id}`)).size

  test("a processor in TypeScript is loaded, and asked for by vllm_xargs", async () => {
    const plain = await complete(looping)
    expect(repeats(plain.json.choices[0].token_ids)).toBeGreaterThan(0)
    const bound = await complete({ ...looping, vllm_xargs: { no_repeat_ngram_size: 2 } })
    expect(repeats(bound.json.choices[0].token_ids)).toBe(0)
  })

  test("what a processor does not take is a 400 in its words, and the engine goes on", async () => {
    const { status, json } = await complete({ ...looping, vllm_xargs: { no_repeat_ngram_size: "x" } })
    expect(status).toBe(400)
    expect(json.error.message).toContain('no_repeat_ngram_size is "x"')
    expect((await complete(looping)).status).toBe(200)
  })

  test("a prompt that was judged before is not computed again", async () => {
    const prompt = Array.from({ length: 200 }, (_, i) => 500 + ((i * 37) % 3000))
    const fields = { prompt, max_tokens: 1, prompt_logprobs: 2 }
    const first = await complete(fields)
    const second = await complete(fields)
    expect(second.json.choices[0].prompt_logprobs).toEqual(first.json.choices[0].prompt_logprobs)
    expect(first.json.usage.prompt_tokens_details.cached_tokens).toBe(0)
    expect(second.json.usage.prompt_tokens_details.cached_tokens).toBe(191)
    // An output is judged as it is when it stands in a prompt.
    const said = await complete({ prompt: prompt.slice(0, 40), max_tokens: 3, logprobs: 0, return_token_ids: true })
    const { token_ids: output, logprobs } = said.json.choices[0]
    const again = await complete({ prompt: [...prompt.slice(0, 40), ...output], max_tokens: 0, echo: true, logprobs: 0 })
    expect(again.json.choices[0].logprobs.token_logprobs.slice(-3)).toEqual(logprobs.token_logprobs)
  })

  test("a prompt is judged once for all choices, which tell what one alone does", async () => {
    const prompt = Array.from({ length: 200 }, (_, i) => 700 + ((i * 41) % 3000))
    const fields = { prompt, max_tokens: 2, prompt_logprobs: 1, temperature: 1, seed: 3 }
    const computed = async () => {
      const text = await (await fetch(`${server().url}/metrics`)).text()
      return Number(/^vllm:prompt_tokens_by_source_total\{.*local_compute.*\} (.*)$/m.exec(text)?.[1])
    }
    const before = await computed()
    const { json } = await complete({ ...fields, n: 4 })
    const spent = (await computed()) - before
    expect(spent).toBeGreaterThanOrEqual(200)
    expect(spent).toBeLessThan(300)
    const alone = (await complete({ ...fields, cache_salt: "alone" })).json.choices[0]
    const told = json.choices.map((choice: any) => choice.prompt_logprobs)
    expect(told).toEqual(Array(4).fill(alone.prompt_logprobs))
    expect(json.choices[0].text).toBe(alone.text)
  })

  test("a reset of the prefix cache leaves nothing to find, and the answer as it was", async () => {
    const fields = { prompt: `${"The sky is blue. ".repeat(20)}The sky is`, max_tokens: 8, logprobs: 0 }
    const ask = async () => {
      const { choices: [{ text, logprobs }], usage } = (await complete(fields)).json
      return { text, logprobs, cached: usage.prompt_tokens_details.cached_tokens }
    }
    const first = await ask()
    const cached = await ask()
    const reset = await post(server(), "/reset_prefix_cache", {})
    expect(await reset.json()).toEqual({ success: true })
    const again = await ask()
    expect(cached.cached).toBeGreaterThan(64)
    expect([first.cached, again.cached]).toEqual([0, 0])
    for (const { text, logprobs } of [cached, again]) expect([text, logprobs]).toEqual([first.text, first.logprobs])
  })

  test("beam search finds texts at least as likely as the greedy one, best first", async () => {
    const fields = { prompt: "The capital of France is", max_tokens: 8, logprobs: 0, ignore_eos: true }
    const sum = (choice: any): number => choice.logprobs.token_logprobs.reduce((a: number, b: number) => a + b, 0)
    const greedy = (await complete(fields)).json.choices[0]
    const { json } = await complete({ ...fields, n: 3, use_beam_search: true })
    const sums: number[] = json.choices.map(sum)
    expect(sums).toHaveLength(3)
    expect(sums).toEqual(sums.toSorted((a, b) => b - a))
    expect(sums[0]!).toBeGreaterThanOrEqual(sum(greedy))
    const one = await complete({ ...fields, n: 1, use_beam_search: true })
    expect(one.json.choices[0].text).toBe(greedy.text)
  })

  test("a thinking budget ends reasoning with the sentence it was given", async () => {
    const { json } = await complete({ prompt: "<think> I wonder", max_tokens: 30, thinking_token_budget: 6 })
    expect(json.choices[0].text).toContain(" Enough.</think>")
    const free = await complete({ prompt: "<think> I wonder", max_tokens: 30 })
    expect(free.json.choices[0].text).not.toContain("Enough.</think>")
  })
})
