/**
 * Models with one weight that is not finite: the requests that meet it end with an error, all others have the tokens
 * that they have alone, and nothing that is not finite is found in the prefix cache.
 */
import { describe, expect, test } from "bun:test"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { Request } from "../../src/core/request.ts"
import { defaultSamplingParams, type SamplingParams } from "../../src/core/sampling-params.ts"
import { TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"
import { poisonedModel } from "../tools/poison.ts"

const POISONED_TOKEN = 77
const WORDS = /NaN or infinity/

const ids = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => {
    const id = 3 + ((i * 31 + seed * 97) % 500)
    return id === POISONED_TOKEN ? POISONED_TOKEN + 1 : id
  })

const SHARED = ids(48, 1)
/** The poisoned prompts share their beginnings with sound ones, before, in and after the same blocks. */
const POISONED = [
  [...SHARED, POISONED_TOKEN, ...ids(20, 2)],
  [...SHARED.slice(0, 20), POISONED_TOKEN, ...ids(60, 3)],
  [POISONED_TOKEN],
  [...ids(100, 4), POISONED_TOKEN],
]
const SOUND = [
  [...SHARED, ...ids(25, 5)],
  SHARED,
  [...SHARED.slice(0, 20), ...ids(40, 6)],
  [...ids(100, 4), 9],
  ids(5, 7),
]

/** No sound request may come upon the token by itself. */
const badWords = [[POISONED_TOKEN]]
const SAMPLING: Partial<SamplingParams>[] = [
  { maxTokens: 8, badWords },
  { badWords,  maxTokens: 8, temperature: 0.8, topP: 0.9, topK: 40, minP: 0.01, seed: 3n, repetitionPenalty: 1.2 },
  { maxTokens: 8, badWords, logprobs: 3, promptLogprobs: 2, logitBias: new Map([[5, 3]]) },
]

const STEPS: Partial<EngineConfig>[] = [
  { maxNumBatchedTokens: 512 }, { maxNumBatchedTokens: 16 }, { maxNumBatchedTokens: 48, maxNumSeqs: 3 },
]

/** Prompt tokens that the cache would give a request. */
function numCached({ scheduler }: TestEngine, promptTokenIds: readonly number[]): number {
  const sampling = defaultSamplingParams()
  const probe = new Request({ requestId: "probe", promptTokenIds, sampling, arrivalTime: 0 })
  return scheduler.kv.findPrefixHit(probe).numTokens
}

describe.each([
  ["llama", "float32"], ["mistral-window", "bfloat16"], ["llama-hd64", "float32"], ["qwen3", "bfloat16"],
] as const)("%s with a poisoned embedding, KV cache in %s", (name, kvCacheDtype) => {
  const dir = fixture(`models/${name}`)
  for (const value of [NaN, Infinity, -Infinity]) {
    test.skipIf(dir === null)(`${value}: harms the requests that have the token, and nobody else`, () => {
      using model = poisonedModel(dir!, {
        tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 3], value,
      })
      for (const sampling of SAMPLING) {
        const alone = new TestEngine(model.path, { kvCacheDtype, numThreads: 1, enablePrefixCaching: false })
        const expected = SOUND.map((prompt) => alone.generate([prompt], sampling)[0]!)
        for (const { tokenIds, failure } of expected) expect([tokenIds.length, failure]).toEqual([8, null])
        alone.dispose()
        for (const steps of STEPS) {
          const engine = new TestEngine(model.path, { kvCacheDtype, numThreads: 1, ...steps })
          for (let round = 0; round < 2; round++) {
            const prompts = [...POISONED, ...SOUND, ...POISONED.toReversed()]
            const results = engine.generate(prompts, sampling)
            const sound = results.slice(POISONED.length, POISONED.length + SOUND.length)
            expect(sound.map(({ tokenIds }) => tokenIds)).toEqual(expected.map(({ tokenIds }) => tokenIds))
            for (const result of results.filter((each) => !sound.includes(each))) {
              expect(result).toMatchObject({ tokenIds: [], failure: { isCallersFault: false } })
              expect(result.failure!.message).toMatch(WORDS)
            }
            engine.scheduler.verify()
            expect(engine.scheduler.kvCacheUsage).toBe(0)
            for (const prompt of POISONED)
              expect(numCached(engine, [...prompt, 1])).toBeLessThanOrEqual(prompt.indexOf(POISONED_TOKEN))
          }
          engine.dispose()
        }
      }
    }, 120_000)
  }
})

describe("llama with a poisoned weight", () => {
  const dir = fixture("models/llama")

  test.skipIf(dir === null)("nothing that a failed request wrote is found again, in whichever step it wrote it", () => {
    using model = poisonedModel(dir!, { tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 0], value: NaN })
    for (const maxNumBatchedTokens of [512, 16]) {
      const engine = new TestEngine(model.path, { maxNumBatchedTokens, numThreads: 1 })
      const prompt = [...ids(100, 4), POISONED_TOKEN]
      expect(engine.generate([prompt])[0]!.failure).not.toBeNull()
      expect(numCached(engine, prompt)).toBe(0)
      // What others have written is theirs again.
      const [first] = engine.generate([[...ids(100, 4), 9]], { maxTokens: 4 })
      const [second] = engine.generate([[...ids(100, 4), 9]], { maxTokens: 4 })
      expect(first!.numCachedTokens).toBe(0)
      expect(second!).toMatchObject({ tokenIds: first!.tokenIds, numCachedTokens: 96 })
      engine.dispose()
    }
  })

  test.skipIf(dir === null)("it is found in the step that computes it, before anybody can share it", () => {
    using model = poisonedModel(dir!, { tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 0], value: NaN })
    const engine = new TestEngine(model.path, { maxNumBatchedTokens: 32, numThreads: 1 })
    const { scheduler } = engine
    const promptTokenIds = [...ids(20, 4), POISONED_TOKEN, ...ids(100, 5)]
    const sampling = defaultSamplingParams({ temperature: 0 })
    scheduler.addRequest(new Request({ requestId: "a", promptTokenIds, sampling, arrivalTime: 0 }))
    // Once with all others, once apart; no step comes to the end of the prompt.
    for (const isLast of [false, true]) {
      const plan = scheduler.schedule()
      expect(plan.requests.map(({ numScheduledTokens }) => numScheduledTokens)).toEqual([32])
      const outputs = scheduler.updateFromOutput(plan, engine.model.execute(plan))
      expect(outputs.map(({ finishReason }) => finishReason)).toEqual(isLast ? ["error"] : [])
      expect(numCached(engine, promptTokenIds)).toBe(0)
    }
    engine.dispose()
  })

  // In a step that begins inside a block, attention computes the tokens before the poisoned one together with it.
  test.skipIf(dir === null)("a request that shares blocks with a poisoned one in the very step is not harmed", () => {
    using model = poisonedModel(dir!, { tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 0], value: NaN })
    const alone = new TestEngine(model.path, { numThreads: 1 })
    const expected = alone.generate([SOUND[0]!], { maxTokens: 8 })[0]!.tokenIds
    alone.dispose()
    let numPreemptions = 0
    for (let maxNumBatchedTokens = 17; maxNumBatchedTokens < 80; maxNumBatchedTokens += 3) {
      const engine = new TestEngine(model.path, { maxNumBatchedTokens, numThreads: 1 })
      const [poisoned, sound] = engine.generate([POISONED[0]!, SOUND[0]!], { maxTokens: 8 })
      expect(poisoned!.failure!.message).toMatch(WORDS)
      expect(sound!).toMatchObject({ tokenIds: expected, failure: null })
      numPreemptions += engine.scheduler.makeStats().numPreemptions - 1
      engine.dispose()
    }
    // It is what these steps are about: sound requests had to be computed once more.
    expect(numPreemptions).toBeGreaterThan(0)
  })

  test.skipIf(dir === null)("a request that comes upon it later has the tokens before it, then the error", () => {
    using model = poisonedModel(dir!, { tensor: "model.embed_tokens.weight", at: [POISONED_TOKEN, 0], value: Infinity })
    const engine = new TestEngine(model.path, { numThreads: 1 })
    const [alone] = engine.generate([SOUND[0]!], { maxTokens: 12 })
    const [late, other] = engine.generate([SOUND[4]!, SOUND[0]!], [
      { maxTokens: 6, allowedTokenIds: [POISONED_TOKEN] }, { maxTokens: 12 },
    ])
    expect(late!.tokenIds).toEqual([POISONED_TOKEN])
    expect(late!.failure!.message).toMatch(WORDS)
    expect(other!).toMatchObject({ tokenIds: alone!.tokenIds, failure: null })
    engine.dispose()
  })

  const everywhere = [
    "lm_head.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
    "model.layers.1.post_attention_layernorm.weight", "model.layers.2.mlp.gate_proj.weight",
    "model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.down_proj.weight",
    "model.layers.1.self_attn.v_proj.weight", "model.layers.2.self_attn.o_proj.weight",
  ]
  for (const tensor of everywhere)
    for (const value of [NaN, Infinity, -Infinity])
      test.skipIf(dir === null)(`${tensor} ${value}: every request ends with the error, the engine goes on`, () => {
        using model = poisonedModel(dir!, { tensor, at: [0, 1], value })
        for (const sampling of SAMPLING) {
          const engine = new TestEngine(model.path, { numThreads: 1 })
          for (let round = 0; round < 2; round++)
            for (const { failure } of engine.generate(SOUND, sampling)) expect(failure!.message).toMatch(WORDS)
          for (const prompt of SOUND) expect(numCached(engine, [...prompt, 1])).toBe(0)
          engine.scheduler.verify()
          engine.dispose()
        }
      }, 60_000)
})
