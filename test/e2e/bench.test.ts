/** Every measurement runs in the executable and says what it should; how fast things are is nobody's business here. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { executable, runToEnd } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { serving } from "./serving.ts"

const TIMEOUT_MS = 120_000
const path = executable()
const model = defaultModel()
const directory = mkdtempSync(join(tmpdir(), "baozi-bench-"))
afterAll(() => rmSync(directory, { recursive: true }))

/** The JSON of a measurement. */
function bench(...words: string[]): Record<string, unknown> {
  const env = { HOME: process.env["HOME"] ?? directory }
  const { code, stdout, stderr } = runToEnd([path!, "bench", ...words, "--json", "-"], { cwd: directory, env })
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Record<string, unknown>
}

function phase(figures: Record<string, unknown>, name: "prefill" | "decode"): Record<string, number> {
  return figures[name] as Record<string, number>
}

describe.skipIf(path === null)("the machine", () => {
  test("has limits", () => {
    const { reads, limits } = bench("limits", "--max-bytes", "100k") as {
      reads: { bytes: number; bytesPerSecond: number }[]
      limits: { bytesPerSecond: number; productsPerSecond: Record<string, number> }
    }
    expect(reads.map(({ bytes }) => bytes)).toEqual([32_768, 65_536, 100_000])
    expect(reads.every(({ bytesPerSecond }) => bytesPerSecond > 1e6)).toBe(true)
    expect(Object.values(limits.productsPerSecond).every((rate) => rate > 1e6)).toBe(true)
  }, TIMEOUT_MS)
})

describe.skipIf(path === null || model === null)("the engine without HTTP", () => {
  test("has a latency, by phases", () => {
    const work = ["--input-len", "8", "--output-len", "3", "--batch-size", "2"]
    const figures = bench("latency", model!, ...work, "--num-iters", "1", "--num-iters-warmup", "0")
    expect(phase(figures, "prefill")["tokens"]).toBe(16)
    expect(phase(figures, "decode")["tokens"]).toBe(4)
    expect(phase(figures, "decode")["shareOfLimit"]).toBeGreaterThan(0)
    expect((figures["latencies"] as number[]).length).toBe(1)
  }, TIMEOUT_MS)

  test("has a throughput, over texts of a file too", () => {
    writeFileSync(join(directory, "prompts.jsonl"), '{"prompt": "One two three.", "output_tokens": 2}\n')
    const figures = bench("throughput", model!, "--dataset-name", "custom", "--dataset-path", "prompts.jsonl",
      "--num-prompts", "3")
    expect(figures).toMatchObject({ num_requests: 3 })
    expect(phase(figures, "prefill")["tokens"]! + phase(figures, "decode")["tokens"]!).toBeGreaterThan(3 * 4)
    expect(figures["output_tokens_per_second"]).toBeGreaterThan(0)
  }, TIMEOUT_MS)

  test("foretells a sentence better than it foretells noise", () => {
    const perplexityOf = (text: string) => {
      writeFileSync(join(directory, "text.txt"), text)
      return bench("perplexity", model!, "--file", "text.txt", "--context-len", "16") as Record<string, number>
    }
    const sentence = perplexityOf("The sun rises in the east and sets in the west, and the moon lights the sky at night.")
    const noise = perplexityOf("sky the west rises, lights and moon and at the sets The east. the in in sun the night")
    expect(sentence["perplexity"]).toBeGreaterThan(1)
    expect(sentence["perplexity"]! * 3).toBeLessThan(noise["perplexity"]!)
  }, TIMEOUT_MS)

  test("is faithful to itself in float32, and less so in fewer bits", () => {
    writeFileSync(join(directory, "text.txt"), "The sun rises in the east and sets in the west. ".repeat(8))
    const work = [model!, "--file", "text.txt", "--context-len", "48", "--max-tokens", "80"]
    const fidelityOf = (...flags: string[]) => bench("fidelity", ...work, ...flags) as Record<string, number>
    expect(fidelityOf("--dtype", "float32")).toMatchObject({
      tokens: 79, rmsDeltaP: 0, meanDeltaP: 0, maxDeltaP: 0, meanKl: 0, p999Kl: 0, maxKl: 0, sameTop: 1,
      perplexityRatio: 1, perplexityRatioError: 0,
    })
    const [twelve, eight] = [fidelityOf("--activation-bits", "12"), fidelityOf("--activation-bits", "8")]
    for (const figures of [twelve, eight]) expect(figures["rmsDeltaP"]).toBeGreaterThan(0)
    expect(twelve["meanKl"]! * 2).toBeLessThan(eight["meanKl"]!)
    // What it computes is what the engine computes.
    const { perplexity } = bench("perplexity", ...work, "--activation-bits", "8") as Record<string, number>
    expect(eight["perplexity"]).toBeCloseTo(perplexity!, 3)
    expect(eight["perplexityRatio"]).toBeCloseTo(eight["perplexity"]! / eight["referencePerplexity"]!, 9)
  }, TIMEOUT_MS)

  test("has curves, and plots of them", () => {
    const sizes = ["--max-batch", "2", "--max-context", "128", "--max-waiting", "10", "--max-blocks", "100"]
    const { curves } = bench("scale", model!, ...sizes, "--num-steps", "1", "--plot-dir", "plots") as {
      curves: { name: string; points: { size: number; stepMs: number }[] }[]
    }
    const [batch, context, waiting, blocks] = curves.map(({ points }) => points.map(({ size }) => size))
    expect([batch, context, waiting, blocks]).toEqual([[1, 2], [128], [1, 10], [100]])
    expect(curves.every(({ points }) => points.every(({ stepMs }) => stepMs > 0))).toBe(true)
    const plots = readdirSync(join(directory, "plots"))
    expect(plots.toSorted()).toEqual(curves.map(({ name }) => `scale-${name}.svg`).toSorted())
    expect(readFileSync(join(directory, "plots", plots[0]!), "utf8")).toStartWith("<svg ")
  }, TIMEOUT_MS)
})

describe("a server", () => {
  const { skip, server } = serving(model, ["--max-model-len", "512"])

  test.skipIf(skip)("is measured by completions of token ids, and the result is written as vLLM writes it", () => {
    const work = ["--num-prompts", "4", "--random-input-len", "12", "--random-output-len", "5", "--max-concurrency", "2"]
    const { share_of_limits: found, ...result } = bench("serve", "--base-url", server().url, ...work, "--goodput",
      "ttft:1000000", "--save-detailed", "--result-filename", "result.json")
    expect(result).toMatchObject({
      backend: "openai", completed: 4, failed: 0, total_input_tokens: 48, total_output_tokens: 20, max_concurrency: 2,
    })
    expect(result["request_goodput"]).toBe(result["request_throughput"]!)
    for (const key of ["mean_ttft_ms", "median_tpot_ms", "p99_itl_ms"]) expect(result[key]).toBeGreaterThan(0)
    expect((result["itls"] as number[][]).map((itls) => itls.length)).toEqual([4, 4, 4, 4])
    expect(JSON.parse(readFileSync(join(directory, "result.json"), "utf8"))).toEqual(result)
    // The server says where its model is, and so what a token costs.
    const { shares } = found as { shares: Record<"prefill" | "decode" | "run", number> }
    for (const part of ["prefill", "decode", "run"] as const) expect(shares[part]).toBeGreaterThan(0)
  }, TIMEOUT_MS)

  test.skipIf(skip)("is measured by chats, with texts that its own tokenizer fits", () => {
    const lengths = ["--prefix-repetition-prefix-len", "20", "--prefix-repetition-suffix-len", "10",
      "--prefix-repetition-output-len", "3", "--prefix-repetition-num-prefixes", "1"]
    const result = bench("serve", "--backend", "openai-chat", "--base-url", server().url, "--dataset-name",
      "shared-prefix", ...lengths, "--num-prompts", "2", "--ignore-eos",
      "--request-rate", "50", "--no-share-of-limits")
    expect(result).toMatchObject({ completed: 2, failed: 0, total_output_tokens: 6, request_rate: 50 })
    expect(result["total_input_tokens"]).toBeGreaterThan(60)
  }, TIMEOUT_MS)
})
