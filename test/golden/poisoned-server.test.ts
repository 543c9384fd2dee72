/** What a client sees of a model that computes what is not finite, and of a model whose files name impossible ids. */
import { expect, test } from "bun:test"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeServeConfig } from "../../src/cli/serve-command.ts"
import { startLocalApp, type LocalApp } from "../../src/app/local-app.ts"
import { fixture } from "../fixtures.ts"
import { poisonedModel } from "../tools/poison.ts"

const dir = fixture("models/llama")
const POISONED_TOKEN = 77

function start(model: string): Promise<LocalApp> {
  return startLocalApp(makeServeConfig({ model, threads: "1", kvCacheMemoryBytes: String(32 * 2 ** 20) }, {}))
}

async function post(app: LocalApp, path: string, body: object): Promise<{ status: number; text: string }> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
  const response = await app.handle(new Request(`http://localhost${path}`, init))
  return { status: response.status, text: await response.text() }
}

test.skipIf(dir === null)("a request that meets the poisoned weight gets an error, others their answers", async () => {
  using model = poisonedModel(dir!, { tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 5], value: NaN })
  const app = await start(model.path)
  try {
    const sound = { prompt: [5, 6, 7, 8], max_tokens: 12, temperature: 0.7, seed: 2, return_token_ids: true }
    const alone = await post(app, "/v1/completions", sound)
    const poisoned = { ...sound, prompt: [5, 6, 7, POISONED_TOKEN] }
    const [plain, streamed, choices, late, other] = await Promise.all([
      post(app, "/v1/completions", poisoned),
      post(app, "/v1/completions", { ...poisoned, stream: true }),
      post(app, "/v1/completions", { ...poisoned, n: 3 }),
      post(app, "/v1/completions", { ...sound, allowed_token_ids: [POISONED_TOKEN], stream: true }),
      post(app, "/v1/completions", sound),
    ])
    for (const { status, text } of [plain, choices]) {
      expect(status).toBe(500)
      expect(JSON.parse(text).error).toMatchObject({
        type: "InternalServerError", code: 500, message: expect.stringContaining("The model computed NaN or infinity"),
      })
    }
    for (const { text } of [streamed, late]) expect(text).toContain("The model computed NaN or infinity")
    expect(JSON.parse(other.text).choices).toEqual(JSON.parse(alone.text).choices)
    expect(app.deathReason()).toBeNull()
    const health = await app.handle(new Request("http://localhost/health"))
    expect(health.status).toBe(200)
    const metrics = await (await app.handle(new Request("http://localhost/metrics"))).text()
    expect(metrics).toMatch(/^vllm:kv_cache_usage_perc\{[^}]*\} 0(\.0)?$/m)
  } finally {
    await app.stop()
  }
}, 60_000)

test.skipIf(dir === null)("end-of-sequence ids beyond the vocabulary are left out, also below min_tokens", async () => {
  const path = mkdtempSync(join(tmpdir(), "baozi-eos-"))
  cpSync(dir!, path, { recursive: true })
  const config = await Bun.file(join(dir!, "config.json")).json()
  rmSync(join(path, "config.json"))
  writeFileSync(join(path, "config.json"), JSON.stringify({ ...config, eos_token_id: [2, 512, 4294967298] }))
  rmSync(join(path, "generation_config.json"), { force: true })
  writeFileSync(join(path, "generation_config.json"), JSON.stringify({ eos_token_id: [99_999, 2] }))
  const app = await start(path)
  try {
    for (const n of [1, 2]) {
      const { status, text } = await post(app, "/v1/completions", {
        prompt: [5, 6, 7], max_tokens: 6, min_tokens: 6, temperature: 1, n,
      })
      expect([status, JSON.parse(text).usage?.completion_tokens]).toEqual([200, 6 * n])
    }
    expect(app.deathReason()).toBeNull()
  } finally {
    await app.stop()
    rmSync(path, { recursive: true })
  }
}, 60_000)
