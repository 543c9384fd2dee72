/**
 * A complete `EngineClient` without a model, for tests of what stands on it: the real `AsyncEngine` over a core that
 * replies with a script. A token is a byte of the reply, or a special token written out ("<|eos|>").
 */
import { NO_LIMITS } from "../src/engine/admission.ts"
import type { AdmissionLimits } from "../src/engine/admission.ts"
import { AsyncEngine } from "../src/engine/async-engine.ts"
import type { AsyncEngineOptions } from "../src/engine/async-engine.ts"
import type { ModelInfo } from "../src/engine/engine-client.ts"
import type { EngineCoreRequest } from "../src/engine/engine-core-port.ts"
import type { ChatTemplate } from "../src/text/chat-template.ts"
import { ChatTemplates } from "../src/text/chat-templates.ts"
import { FakeCore } from "./unit/engine/fake-core.ts"
import { ToyTokenizer } from "./toy-tokenizer.ts"

export interface FakeEngineOptions {
  /** What every request is answered with, or a function of it; a reply that ends without "<|eos|>" starts again. */
  readonly reply?: string | ((request: EngineCoreRequest) => string)
  /** Milliseconds between tokens; null: only `core.step()` moves. */
  readonly stepMs?: number | null
  readonly tokensPerStep?: number
  readonly maxNumSeqs?: number
  readonly limits?: Partial<AdmissionLimits>
  /** The only one there is. */
  readonly chatTemplate?: ChatTemplate | null
  readonly chatTemplates?: ChatTemplates
  readonly now?: () => number
  readonly model?: Partial<ModelInfo>
}

export interface FakeEngine {
  readonly engine: AsyncEngine
  readonly core: FakeCore
  readonly tokenizer: ToyTokenizer
  /** Requests the core still works on; the children of n > 1 count one each. */
  numLive(): number
  /** Requests the core dropped before their end. */
  numAborted(): number
}

export function makeFakeEngine(options: FakeEngineOptions = {}): FakeEngine {
  const tokenizer = new ToyTokenizer()
  const { reply = "Hello, this is a reply.<|eos|>", now = () => performance.now() / 1000 } = options
  const textOf = typeof reply === "string" ? () => reply : reply
  const maxNumSeqs = options.maxNumSeqs ?? 256
  const core = new FakeCore({
    script: (request) => tokenizer.encode(textOf(request), { addSpecialTokens: false }),
    stepMs: options.stepMs === undefined ? 0 : options.stepMs,
    tokensPerStep: options.tokensPerStep ?? 1,
    maxNumSeqs,
    now,
  })
  let counter = 0n
  const engine = new AsyncEngine({
    grammars: { compile: () => Promise.resolve({ grammarId: 1, release() {} }), stop() {} },
    core,
    tokenizer,
    model: fakeModel(tokenizer, options.model),
    chatTemplates: options.chatTemplates ?? ChatTemplates.of(options.chatTemplate ?? null),
    now,
    random: { uint64: () => (counter += 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn },
    maxNumSeqs,
    limits: { ...NO_LIMITS, ...options.limits },
    cacheConfig: { block_size: 16, num_gpu_blocks: 100, kv_cache_size_tokens: 1600, kv_cache_max_concurrency: 6.25 },
  })
  return { engine, core, tokenizer, numLive: () => core.numLive, numAborted: () => core.aborted.length }
}

export function fakeModel(tokenizer: ToyTokenizer, overrides: Partial<ModelInfo> = {}): ModelInfo {
  return {
    servedNames: ["fake"],
    root: "fake-root",
    maxModelLen: 256,
    vocabSize: tokenizer.vocabSize,
    maxLogprobs: 20,
    created: 1_700_000_000,
    generationDefaults: {},
    reasoning: null, logprobsMode: "raw_logprobs", logitsProcessors: [],
    eosTokenId: tokenizer.eosTokenId,
    extraEosTokenIds: [],
    ...overrides,
  }
}
