/** Everything that requests can ask for is served from memory that was allocated, and planned, at the start. */
import { expect, test } from "bun:test"
import type { SamplingParams } from "../../src/core/sampling-params.ts"
import { LOGPROBS_MODES } from "../../src/core/logprobs-mode.ts"
import { PROMPT_LOGPROBS_CACHE_BYTES } from "../../src/core/scheduler-config.ts"
import { TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const VOCAB = 512
const ALL = Array.from({ length: VOCAB }, (_, id) => id)
const dir = fixture("models/llama")

/** Rows that fill the buffers of the sampler by themselves, beside rows that need little. */
const ASKED: Partial<SamplingParams>[] = [
  { logitBias: new Map(ALL.map((id) => [id, (id % 7) - 3])), minTokens: 9, stopTokenIds: ALL.slice(1) },
  { allowedTokenIds: ALL.slice(100), repetitionPenalty: 1.3, logprobs: -1 },
  { frequencyPenalty: 0.5, presencePenalty: -0.5, badWords: ALL.slice(0, 128).map((id) => [id]) },
  { allowedTokenIds: ALL, promptLogprobs: VOCAB, logprobs: VOCAB },
  { logprobs: 2, logprobTokenIds: [3, 500] },
  { temperature: 0.9, topP: 0.8, seed: 5n, logprobs: 20, repetitionPenalty: 0.8 },
  {},
]

test.skipIf(dir === null).each(LOGPROBS_MODES)("nothing is allocated for requests (%p)", (logprobsMode) => {
  const prompts = Array.from({ length: 14 }, (_, i) => ALL.slice(3 + i, 200 + 20 * i))
  const sampling = prompts.map((_, i) => ({ maxTokens: 10, ...ASKED[i % ASKED.length] }))
  const processor = () => ({ name: "nothing", add: () => ({ apply: () => {} }) })
  const engine = new TestEngine(dir!, { logprobsMode, numThreads: 1 }, [processor])
  const { plan } = engine.model
  const before = engine.model.memory()
  const planned = plan.weightBytes + plan.scratchBytes - PROMPT_LOGPROBS_CACHE_BYTES + plan.kvCacheBytes
  expect(before.device + before.staging + before.weights + before.scratch).toBe(planned)
  const together = engine.generate(prompts, sampling)
  expect(engine.model.memory()).toEqual(before)
  // Rows that go in several calls come out as they do alone.
  const alone = prompts.map((prompt, i) => engine.generate([prompt], [sampling[i]!])[0]!)
  const told = (all: typeof alone) => all.map(({ tokenIds, logprobs, promptLogprobs }) => (
    { tokenIds, logprobs, promptLogprobs }))
  expect(told(together)).toEqual(told(alone))
  engine.dispose()
}, 60_000)
