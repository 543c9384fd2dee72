/** Draws one random scenario: a KV cache, a scheduler configuration, and how rough the weather is. */
import { Prng } from "../../src/base/prng.ts"
import { groupLayers, type KVCacheGroup, type KVCacheSpec, type LayerSpec } from "../../src/core/kv/kv-spec.ts"
import { maxBlocksPerRequest } from "../../src/core/kv/sizing.ts"
import type { SchedulerConfig } from "../../src/core/scheduler-config.ts"
import type { LayerWindows } from "./fake-model.ts"

export interface Scenario {
  readonly scheduler: SchedulerConfig
  readonly groups: readonly KVCacheGroup[]
  readonly numBlocks: number
  readonly enablePrefixCaching: boolean
  readonly windows: LayerWindows
  readonly groupOf: readonly [number, number]
  readonly memoryOf: readonly [number, number]
  /** The group of the model's state, or null. */
  readonly stateGroup: number | null
  /** What a step may compute beside requests that decode, at most; Infinity is no such limit. */
  readonly maxPromptTokens: number
  /** Plans that may be in flight at once. */
  readonly pipelineDepth: number
  /** Tokens that the drafter proposes a step; 0 is no drafter. */
  readonly numDraftTokens: number
  readonly numRequests: number
  /** Chance that a request arrives between two steps, repeatedly. */
  readonly arrivalRate: number
  readonly abortRate: number
  readonly resetRate: number
  readonly pauseRate: number
  readonly numSalts: number
  /** Chance that a request asks for the log-probabilities of its prompt. */
  readonly judgeRate: number
  /** Chance that what a step computes for a request is not finite; once for each request at most. */
  readonly spoilRate: number
  /** Chance that a request is blocked when it arrives. */
  readonly blockRate: number
  /** The runner gets every plan as a message. */
  readonly sendsPlans: boolean
}

/** `later` draws what was added later, so that what a seed gave before stays as it was. */
export function drawScenario(prng: Prng, later: Prng): Scenario {
  const blockSize = prng.pick([1, 2, 3, 4, 8, 16])
  const maxModelLen = prng.int(12, 96)
  let enableChunkedPrefill = prng.chance(0.8)
  const maxNumSeqs = prng.int(1, 12)
  const leastBudget = enableChunkedPrefill ? maxNumSeqs : Math.max(maxModelLen, maxNumSeqs)
  let maxNumBatchedTokens = leastBudget + (prng.chance(0.6) ? prng.int(0, 16) : prng.int(0, 120))
  const attention = drawAttention(prng, blockSize, new Prng(later.int(0, 2 ** 30)))
  // What the core demands where a state is kept at block boundaries.
  const chunk = attention.stateGroup === null ? 1 : (attention.groups[attention.stateGroup]?.spec.blockSize ?? 1)
  if (attention.stateGroup !== null) enableChunkedPrefill = true
  maxNumBatchedTokens = Math.max(maxNumBatchedTokens, maxNumSeqs - 1 + chunk)
  const pipelineDepth = prng.pick([1, 1, 1, 2, 3])
  // A window gives blocks back only behind the steps in flight.
  const limits = { maxModelLen, maxNumBatchedTokens: maxNumBatchedTokens * pipelineDepth }
  const numStates = attention.stateGroup === null ? 0 : pipelineDepth
  const leastBlocks = maxBlocksPerRequest(attention.groups, limits) + numStates
  return {
    scheduler: {
      maxNumBatchedTokens,
      maxNumSeqs,
      maxModelLen,
      policy: prng.pick(["fcfs", "priority", "priority"]),
      priorityAgeingSeconds: later.pick([0, 0, 1, 3, 20]),
      enableChunkedPrefill,
      maxNumEncoderInputTokens: 0,
      maxLoras: 0,
      longPrefillTokenThreshold: prng.chance(0.3) ? Math.max(chunk, prng.int(1, maxModelLen)) : 0,
      longPrefillTokenThresholdAdaptive: prng.chance(0.3),
      schedulerReserveFullIsl: prng.chance(0.4),
      watermark: prng.chance(0.3) ? 0.1 : 0,
      promptLogprobsCacheBytes: prng.pick([0, 2 ** 12, 2 ** 20, 2 ** 20]),
    },
    ...attention,
    // One request always fits; how many more decides how hard they fight.
    numBlocks: 1 + leastBlocks + (prng.chance(0.7) ? prng.int(0, leastBlocks) : prng.int(0, 20 * leastBlocks)),
    enablePrefixCaching: prng.chance(0.85),
    maxPromptTokens: enableChunkedPrefill && later.chance(0.4) ? Math.max(chunk, later.int(1, 24)) : Infinity,
    pipelineDepth,
    numDraftTokens: prng.chance(0.3) ? prng.int(1, 4) : 0,
    numRequests: prng.int(5, 60),
    arrivalRate: prng.pick([0.1, 0.4, 0.8]),
    abortRate: prng.pick([0, 0.01, 0.1]),
    resetRate: prng.pick([0, 0, 0.02]),
    pauseRate: prng.pick([0, 0, 0.02]),
    numSalts: prng.pick([1, 1, 3]),
    judgeRate: prng.pick([0, 0.2, 0.7]),
    spoilRate: later.pick([0, 0, 0.02, 0.1]),
    sendsPlans: later.chance(0.3),
    blockRate: later.pick([0, 0, 0.1, 0.5]),
  }
}

type Attention = Pick<Scenario, "groups" | "windows" | "groupOf" | "memoryOf" | "stateGroup">

/**
 * All layers full, all with one window, or one of each: then the two groups share one memory, at times with blocks of
 * unequal size, and at times with a state beside them. `later` draws what was added later.
 */
function drawAttention(prng: Prng, blockSize: number, later: Prng): Attention {
  const shape = { blockSize, numKVHeads: 1, headDim: 1, headDimV: 1, dtypeBytes: 4 }
  const full: KVCacheSpec = { kind: "full", ...shape }
  const window = prng.int(1, 24)
  const sliding: KVCacheSpec = { kind: "sliding_window", window, ...shape }
  const kind = prng.pick(["full", "sliding", "hybrid"] as const)
  if (kind === "hybrid") {
    const bytes = { full: later.pick([8, 8, 4]), sliding_window: later.pick([8, 8, 4]), state: later.pick([1, 8, 20]) }
    const state: LayerSpec = { kind: "state", blockSize, stateSize: 1, dtypeBytes: 4 }
    const third: LayerSpec = later.chance(0.6) ? state : { kind: "encoder_only" }
    const pageBytes = (spec: KVCacheSpec) =>
      spec.kind === "state" ? bytes.state * blockSize : bytes[spec.kind as "full"] * spec.blockSize
    const groups = groupLayers([full, sliding, third], pageBytes)
    const stateGroup = groups.length === 3 ? 2 : null
    return { groups, windows: [Infinity, window], groupOf: [0, 1], memoryOf: [0, 0], stateGroup }
  }
  const reach = kind === "full" ? Infinity : window
  const spec = kind === "full" ? full : sliding
  const groups = groupLayers([spec, spec], () => 8 * blockSize)
  return { groups, windows: [reach, reach], groupOf: [0, 0], memoryOf: [0, 1], stateGroup: null }
}
