/**
 * Sampling fields at and around their bounds, in any combination, through the whole server but its sockets: a request
 * gets its answer or a 400, and nobody else's tokens change.
 */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Prng } from "../../src/base/prng.ts"
import { makeServeConfig } from "../../src/cli/serve-command.ts"
import { startLocalApp, type LocalApp } from "../../src/app/local-app.ts"
import { fixture } from "../fixtures.ts"
import { drawFieldsAtBounds } from "../tools/bounds.ts"

const NUM_ROUNDS = 40
const NUM_HOSTILE = 6

/** Writes what its request asks for into its logits. */
const PROCESSOR = `export default {
  name: "writer",
  add: ({ args }) => args.write === undefined ? null : {
    apply: (logits) => {
      if (args.write === "throw") throw new Error("asked to")
      logits.fill(Number(args.write), args.from ?? 0, args.to ?? logits.length)
    },
  },
}
`
const WRITES: Readonly<Record<string, readonly number[]>> = {
  "Infinity": [200], "-Infinity": [200], "3.4028234663852886e38": [200], "-3.4028234663852886e38": [200],
  "1e-45": [200], "1e300": [200], "NaN": [500], "throw": [500],
}

const LONG = Array.from({ length: 60 }, (_, i) => 10 + i)
const NEIGHBOURS = [
  { prompt: [5, 6, 7, 8, 9], temperature: 0 },
  { prompt: LONG, temperature: 0.9, seed: 4, top_p: 0.9, repetition_penalty: 1.1 },
  { prompt: LONG.slice(0, 40), temperature: 1, seed: 9, top_k: 30, min_p: 0.02, logprobs: 2 },
]

async function post(app: LocalApp, body: object): Promise<{ status: number; text: string }> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
  const response = await app.handle(new Request("http://localhost/v1/completions", init))
  return { status: response.status, text: await response.text() }
}

async function neighbours(app: LocalApp): Promise<unknown[]> {
  const fields = { max_tokens: 10, ignore_eos: true, return_token_ids: true }
  const answers = await Promise.all(NEIGHBOURS.map((own) => post(app, { ...fields, ...own })))
  return answers.map(({ status, text }) => {
    expect(status).toBe(200)
    const { token_ids, logprobs } = JSON.parse(text).choices[0]
    return { token_ids, logprobs }
  })
}

describe.each([false, true])("with logits processors: %p", (hasProcessors) => {
  const model = fixture("models/llama")
  const dir = mkdtempSync(join(tmpdir(), "baozi-bounds-"))
  afterAll(() => rmSync(dir, { recursive: true }))

  test.skipIf(model === null)("a request at the bounds harms nobody", async () => {
    const path = join(dir, "writer.ts")
    writeFileSync(path, PROCESSOR)
    const app = await startLocalApp(makeServeConfig({
      model, threads: "1", maxNumBatchedTokens: "64", maxNumSeqs: "32", kvCacheMemoryBytes: String(64 * 2 ** 20),
      reasoningConfig: '{"reasoning_start_str": "<think>", "reasoning_end_str": "</think>"}',
      ...(hasProcessors ? { logitsProcessors: path } : {}),
    }, {}))
    try {
      const prng = new Prng(hasProcessors ? 2 : 1)
      const alone = await neighbours(app)
      const counts: Record<number, number> = {}
      for (let round = 0; round < NUM_ROUNDS; round++) {
        const bodies = Array.from({ length: NUM_HOSTILE }, () => {
          const prompt = prng.chance(0.5) ? LONG : [prng.int(3, 511), prng.int(3, 511)]
          const write = hasProcessors && prng.chance(0.4) ? prng.pick(Object.keys(WRITES)) : null
          const range = prng.chance(0.5) ? {} : { from: 5, to: 7 }
          const args = write === null ? {} : { vllm_xargs: { write, ...range } }
          return { body: { prompt, ...drawFieldsAtBounds(prng), ...args }, write }
        })
        const [answers, together] = await Promise.all([
          Promise.all(bodies.map(({ body }) => post(app, body))), neighbours(app),
        ])
        expect(together).toEqual(alone)
        answers.forEach(({ status, text }, i) => {
          const { body, write } = bodies[i]!
          const allowed = [400, ...(write === null ? [200] : WRITES[write]!)]
          if (!allowed.includes(status)) throw new Error(`${status} for ${JSON.stringify(body)}: ${text.slice(0, 400)}`)
          counts[status] = (counts[status] ?? 0) + 1
        })
        expect(app.deathReason()).toBeNull()
      }
      // Neither are all refused nor all accepted.
      expect(counts[200]).toBeGreaterThan(NUM_ROUNDS)
      expect(counts[400]).toBeGreaterThan(NUM_ROUNDS)
    } finally {
      await app.stop()
    }
  }, 300_000)
})
