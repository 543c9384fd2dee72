/** The front half over the real loop and the real scheduler, on one thread, with a runner that needs no model. */
import { expect } from "bun:test"
import type { Runner } from "../../../src/engine/runner.ts"
import { NO_LIMITS } from "../../../src/engine/admission.ts"
import { AsyncEngine } from "../../../src/engine/async-engine.ts"
import { EngineCore } from "../../../src/engine/engine-core.ts"
import type { EngineCoreOutputs, EngineCorePort } from "../../../src/engine/engine-core-port.ts"
import type { SchedulePlan, StepResult } from "../../../src/core/schedule-plan.ts"
import { ChatTemplates } from "../../../src/text/chat-templates.ts"
import { fakeModel } from "../../fake-engine.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"
import { makeScheduler } from "../core/harness.ts"
import { fakeLogprobs } from "./fake-core.ts"

const MAX_NUM_SEQS = 8
const tokenizer = new ToyTokenizer()

/** Each token is a letter that depends on all before it. */
export const letterRunner: Runner<StepResult> = {
  submit(plan: SchedulePlan): StepResult {
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    for (const { requestId, tokenIds, samples, sampling } of plan.requests) {
      if (!samples) continue
      const token = 97 + ([...tokenIds].reduce((hash, id) => (hash * 31 + id) % 1009, 7) % 26)
      result.sampledTokenIds.set(requestId, [token])
      if (sampling.logprobs !== null) result.logprobs.set(requestId, [fakeLogprobs(token, sampling.logprobs)])
    }
    return result
  },
  depth: 1,
  waitsForHost: () => false,
  sample: () => {},
  collect: (result) => result,
  prepare: () => false,
  sleep: () => {},
  wake: () => {},
}

export function makeEngine(options: { runner?: Runner; numBlocks?: number } = {}) {
  let onOutputs: (outputs: EngineCoreOutputs) => void = () => {}
  let onDeath: (error: Error) => void = () => {}
  const clock = () => performance.now() / 1000
  const core = new EngineCore({
    scheduler: makeScheduler({
      maxNumSeqs: MAX_NUM_SEQS,
      blockSize: 4,
      numBlocks: options.numBlocks ?? 200,
      maxModelLen: 256,
    }),
    runner: options.runner ?? letterRunner,
    clock,
    yieldThen: setImmediate,
    emit: (outputs) => onOutputs(structuredClone(outputs)),
    onError: (error) => onDeath(error),
  })
  const port: EngineCorePort = {
    add: (requests) => core.add(structuredClone(requests)),
    abort: (requestIds) => core.abort(requestIds),
    call: async (name, ...args) => core.call(name, args),
    onOutputs: (listener) => (onOutputs = listener),
    restart: async () => {},
    onDeath: (listener) => (onDeath = listener),
    close: async () => {},
  }
  const engine = new AsyncEngine({
    core: port,
    tokenizer,
    model: fakeModel(tokenizer),
    chatTemplates: new ChatTemplates(),
    now: clock,
    random: { uint64: () => BigInt(Math.floor(Math.random() * 2 ** 53)) },
    maxNumSeqs: MAX_NUM_SEQS,
    limits: NO_LIMITS,
    cacheConfig: {},
  })
  return { engine, core }
}

export const promptOf = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })

export async function untilIdle({ engine, core }: ReturnType<typeof makeEngine>): Promise<void> {
  while (!core.call("isIdle", [])) await new Promise((resolve) => setImmediate(resolve))
  expect(engine.numUnfinished()).toBe(0)
}
