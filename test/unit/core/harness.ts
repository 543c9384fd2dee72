import { Request, type RequestInit } from "../../../src/core/request.ts"
import type { BlockHash } from "../../../src/core/kv/block-hash.ts"
import type { StoredBlock } from "../../../src/core/kv/block-observer.ts"
import type { KVBlock } from "../../../src/core/kv/block.ts"
import { KVManager } from "../../../src/core/kv/kv-manager.ts"
import type { KVCacheSpec } from "../../../src/core/kv/kv-spec.ts"
import { defaultSamplingParams, type SamplingParams } from "../../../src/core/sampling-params.ts"
import type { SchedulePlan, StepResult } from "../../../src/core/schedule-plan.ts"
import { makeSchedulerConfig, type SchedulerConfig } from "../../../src/core/scheduler-config.ts"
import { Scheduler } from "../../../src/core/scheduler.ts"
import type { EngineCoreOutput } from "../../../src/core/engine-core-output.ts"

export interface KVOptions {
  numBlocks?: number
  blockSize?: number
  enablePrefixCaching?: boolean
  /** A window makes the one group a sliding one; null is full attention. */
  window?: number | null
  /** A second group with this window beside full attention. */
  hybridWindow?: number | null
}

export function specOf(blockSize: number, window: number | null): KVCacheSpec {
  const shape = { blockSize, numKVHeads: 1, headDim: 1, headDimV: 1, dtypeBytes: 2 }
  return window === null ? { kind: "full", ...shape } : { kind: "sliding_window", window, ...shape }
}

export function kvConfigOf(options: KVOptions) {
  const { numBlocks = 1000, blockSize = 16, window = null, hybridWindow = null } = options
  const groups = [{ spec: specOf(blockSize, window), layers: [0], pageBytes: 4 * blockSize }]
  const pageBytes = 4 * blockSize
  if (hybridWindow !== null) groups.push({ spec: specOf(blockSize, hybridWindow), layers: [1], pageBytes })
  return { numBlocks, groups, enablePrefixCaching: options.enablePrefixCaching ?? true }
}

export function makeKVManager(options: KVOptions & { watermark?: number; maxModelLen?: number } = {}): KVManager {
  const { watermark = 0, maxModelLen = 8192 } = options
  return new KVManager({ ...kvConfigOf(options), watermark, maxModelLen, maxNumBatchedTokens: 8192 })
}

/** A scheduler whose clock counts its readings. */
export function makeScheduler(options: Partial<SchedulerConfig> & KVOptions = {}): Scheduler {
  const { numBlocks, blockSize, enablePrefixCaching, window, hybridWindow, ...config } = options
  let now = 0
  const maxModelLen = config.maxModelLen ?? 8192
  const scheduler = makeSchedulerConfig({ maxNumSeqs: 16, maxNumBatchedTokens: 8192, ...config, maxModelLen })
  const kv = { numBlocks, blockSize, enablePrefixCaching, window, hybridWindow }
  const given = Object.fromEntries(Object.entries(kv).filter(([, value]) => value !== undefined))
  return new Scheduler(scheduler, kvConfigOf(given), { clock: () => now++ })
}

let numRequests = 0

/** `prompt`: the token ids, or how many; then every request has tokens of its own. */
export function makeRequest(
  prompt: number | readonly number[],
  options: Partial<Omit<RequestInit, "sampling">> & { sampling?: Partial<SamplingParams> } = {},
): Request {
  const { sampling, ...init } = options
  numRequests += 1
  const promptTokenIds = typeof prompt === "number" ? range(prompt, 100_000 * numRequests) : prompt
  return new Request({
    requestId: `r${numRequests}`,
    arrivalTime: numRequests,
    promptTokenIds,
    ...init,
    sampling: defaultSamplingParams({ maxTokens: 1000, ...sampling }),
  })
}

/** `count` consecutive numbers. */
export function range(count: number, start = 0): number[] {
  return Array.from({ length: count }, (_, i) => start + i)
}

/** Request id -> tokens scheduled, in the plan's order. */
export function scheduledTokens(plan: SchedulePlan): Record<string, number> {
  return Object.fromEntries(plan.requests.map((r) => [r.requestId, r.numScheduledTokens]))
}

/** What a runner would answer: for each request that samples, the given tokens, or token 7. */
export function resultOf(plan: SchedulePlan, tokens: Record<string, number[]> = {}): StepResult {
  const sampling = plan.requests.filter((r) => r.samples)
  const sampledTokenIds = new Map(sampling.map((r) => [r.requestId, tokens[r.requestId] ?? [7]]))
  return { sampledTokenIds, logprobs: new Map(), promptLogprobs: new Map() }
}

/** One whole step. */
export function step(scheduler: Scheduler, tokens: Record<string, number[]> = {}): SchedulePlan & {
  outputs: EngineCoreOutput[]
} {
  const plan = scheduler.schedule()
  const outputs = scheduler.updateFromOutput(plan, resultOf(plan, tokens))
  scheduler.verify()
  return { ...plan, outputs }
}

/** A full block of no particular tokens. */
export function storedBlock(blockId: number, hash: BlockHash, groupId = 0): StoredBlock {
  return { blockId, groupId, hash, parentHash: null, tokenIds: [], start: 0, end: 0 }
}

export function ids(blocks: readonly KVBlock[]): number[] {
  return blocks.map((block) => block.id)
}
