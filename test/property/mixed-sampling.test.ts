/**
 * Requests with sampling parameters of their own, in one batch: each gets the tokens and the log-probabilities that it
 * gets alone, though rows come, go and are preempted. No row's parameters may ever meet another row's logits.
 */
import { expect, test } from "bun:test"
import { Prng } from "../../src/base/prng.ts"
import type { SamplingParams } from "../../src/core/sampling-params.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import type { LogitsProcessor } from "../../src/exec/logits-processors/interface.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const VOCAB = 512
const dir = fixture("models/gguf-llama/Q4_1")

/** Adds to every token whose id the request's number divides. */
const multiples: LogitsProcessor = {
  name: "multiples",
  add({ args }) {
    const divisor = args["divisor"]
    if (typeof divisor !== "number") return null
    return {
      apply(logits) {
        for (let id = 0; id < logits.length; id += divisor) logits[id]! += 2
      },
    }
  },
}

function engine(overrides: Partial<EngineConfig>): TestEngine {
  const config = { dtype: "auto", maxModelLen: 128, numThreads: 1, ...overrides } as const
  return new TestEngine(modelPathOf(dir!), config, [() => multiples])
}

function drawSampling(prng: Prng): Partial<SamplingParams> {
  const token = () => prng.int(3, VOCAB - 1)
  const tokens = (count: number) => Array.from({ length: count }, token)
  const maybe = <T>(chance: number, value: () => T, other: T): T => (prng.chance(chance) ? value() : other)
  return {
    maxTokens: prng.int(1, 20),
    temperature: prng.pick([0, 0.3, 1, 1.5]),
    seed: BigInt(prng.uint32()),
    topK: maybe(0.3, () => prng.int(1, 40), 0),
    topP: maybe(0.3, () => 0.5 + prng.float() / 2, 1),
    minP: maybe(0.3, () => prng.float() / 10, 0),
    presencePenalty: maybe(0.2, () => prng.float() * 2, 0),
    frequencyPenalty: maybe(0.2, () => prng.float() * 2, 0),
    repetitionPenalty: maybe(0.2, () => 0.5 + prng.float() * 2, 1),
    stopTokenIds: maybe(0.2, () => tokens(5), []),
    minTokens: maybe(0.3, () => 1, 0),
    logitBias: maybe<SamplingParams["logitBias"]>(
      0.3, () => new Map(tokens(4).map((id) => [id, prng.int(-10, 10)])), null),
    allowedTokenIds: maybe<number[] | null>(0.2, () => tokens(30), null),
    badWords: maybe<number[][] | null>(0.2, () => [tokens(1), tokens(2)], null),
    thinkingBudget: maybe<SamplingParams["thinkingBudget"]>(
      0.2, () => ({
        maxTokens: prng.int(0, 4), startIds: [5], endIds: [6], forcedEndIds: [...tokens(2), 6], unmarkedStart: null,
      }), null),
    grammar: null,
    extraArgs: maybe<SamplingParams["extraArgs"]>(0.3, () => ({ divisor: prng.int(2, 9) }), null),
    logprobs: maybe<number | null>(0.5, () => prng.int(0, 5), null),
    promptLogprobs: maybe<number | null>(0.2, () => prng.int(0, 3), null),
  }
}

test.skipIf(dir === null).each(["raw_logprobs", "processed_logits"] as const)(
  "every request of a mixed batch is served as it is alone (%s)", (logprobsMode) => {
    const prng = new Prng(11)
    const count = 24
    // Some prompts begin to reason.
    const prompts = Array.from({ length: count }, () =>
      Array.from({ length: prng.int(2, 50) }, () => prng.pick([5, prng.int(7, VOCAB - 1), prng.int(7, VOCAB - 1)])))
    const sampling = prompts.map(() => drawSampling(prng))
    const alone = engine({ logprobsMode, enablePrefixCaching: false })
    const expected = prompts.map((prompt, i) => alone.generate([prompt], [sampling[i]!])[0]!)
    alone.dispose()
    expect(expected.some(({ tokenIds }) => tokenIds.length > 10)).toBe(true)
    for (const overrides of [{ maxNumSeqs: 16, maxNumBatchedTokens: 40 }, { maxNumSeqs: 6, numBlocksOverride: 14 }]) {
      const together = engine({ logprobsMode, ...overrides })
      const got = together.generate(prompts, sampling)
      together.dispose()
      for (const [i, { tokenIds, logprobs, promptLogprobs }] of got.entries()) {
        const { tokenIds: ids, logprobs: entries, promptLogprobs: judged } = expected[i]!
        expect({ i, tokenIds, logprobs, promptLogprobs }).toEqual({
          i, tokenIds: ids, logprobs: entries, promptLogprobs: judged,
        })
      }
    }
  }, 60_000)
