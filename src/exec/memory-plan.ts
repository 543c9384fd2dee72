/**
 * Decides how much memory goes where before anything is loaded, and says so.
 *
 *   weights   as laid out for the kernels
 *   scratch   activations of the largest step, logits, input arrays, rotary tables, what sampling needs at most, what
 *             the kernel library takes for itself, log-probabilities kept beside cached prefixes; see planParts
 *   texts     of requests: the largest body while it is read, and the threads that work on long texts
 *   KV cache  what is left of the budget, in whole blocks
 */
import { ConfigError } from "../base/errors.ts"
import {
  bytesPerBlock as pageBytes, capacityTokens, checkRequestFits, estimateMaxModelLen, maxConcurrency,
} from "../core/kv/sizing.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import type { EngineConfig } from "./engine-config.ts"
import type { PartsMemory } from "./model-parts.ts"
import type { SystemMemory } from "./system-memory.ts"

export interface MemoryPlan {
  readonly weightBytes: number
  readonly scratchBytes: number
  /** What of scratch the kernel library takes for itself. */
  readonly libraryBytes: number
  readonly textBytes: number
  readonly kvCacheBytes: number
  readonly bytesPerBlock: number
  /** The null block included. */
  readonly numBlocks: number
  readonly blockSize: number
  readonly maxModelLen: number
  /** The model's own limit. */
  readonly modelMaxLen: number
  readonly capacityTokens: number
  /** Requests of the maximum length that fit at once. */
  readonly maxConcurrency: number
  readonly availableBytes: number
}

const GIB = 2 ** 30
const MAX_KV_SLOTS = 2 ** 31 - 1
// Without a word from the user, a server should not take a whole machine: it is rarely alone there.
const DEFAULT_KV_BYTES = 4 * GIB
const DEFAULT_SHARE_OF_AVAILABLE = 0.5

export interface MemoryNeeds extends PartsMemory {
  /** Log-probabilities of prompts that are kept beside cached prefixes, at most. */
  readonly promptLogprobsBytes: number
  readonly bytesPerBlock: number
  readonly groups: readonly KVCacheGroup[]
  readonly modelMaxLen: number
}

/** Errors: `ConfigError` with the numbers and the flag to turn, when it does not fit. */
export function planMemory(config: EngineConfig, needs: MemoryNeeds, system: SystemMemory): MemoryPlan {
  const { weightBytes, libraryBytes, bytesPerBlock } = needs
  const wanted = config.maxModelLen ?? needs.modelMaxLen
  if (wanted > needs.modelMaxLen)
    throw new ConfigError(`--max-model-len ${wanted} is more than the ${needs.modelMaxLen} positions of this model`)
  const budget = kvBudget(config, needs, system)
  const numBlocks = config.numBlocksOverride ?? Math.min(Math.floor(budget / bytesPerBlock), mostBlocks(config))
  if (numBlocks > mostBlocks(config))
    throw new ConfigError(
      `--num-gpu-blocks-override is ${numBlocks}, but must be at most ${mostBlocks(config)} ` +
        `with blocks of ${config.blockSize} tokens`,
    )
  const bytes = numBlocks * bytesPerBlock
  const limits = { maxModelLen: wanted, maxNumBatchedTokens: config.maxNumBatchedTokens }
  // The library's block may be padded: size by whole blocks of the layers' own pages.
  const pageBudget = numBlocks * pageBytes(needs.groups)
  const maxModelLen = config.maxModelLen === null
    ? Math.max(1, estimateMaxModelLen(needs.groups, pageBudget, limits))
    : wanted
  checkRequestFits(needs.groups, pageBudget, { ...limits, maxModelLen })
  const fitted = { ...limits, maxModelLen }
  return {
    weightBytes, libraryBytes, scratchBytes: scratchBytesOf(needs), textBytes: config.textBytes, bytesPerBlock,
    numBlocks, maxModelLen,
    kvCacheBytes: bytes, blockSize: config.blockSize,
    modelMaxLen: needs.modelMaxLen, capacityTokens: capacityTokens(needs.groups, numBlocks, fitted),
    maxConcurrency: maxConcurrency(needs.groups, numBlocks, fitted), availableBytes: system.availableBytes,
  }
}

function scratchBytesOf({ bufferBytes, libraryBytes, promptLogprobsBytes }: MemoryNeeds): number {
  return bufferBytes + libraryBytes + promptLogprobsBytes
}

function kvBudget(config: EngineConfig, needs: MemoryNeeds, system: SystemMemory): number {
  const fixed = needs.weightBytes + scratchBytesOf(needs) + config.textBytes
  if (config.kvCacheMemoryBytes !== null) {
    if (config.kvCacheMemoryBytes + fixed > system.availableBytes)
      throw new ConfigError(
        `--kv-cache-memory-bytes asks for ${gib(config.kvCacheMemoryBytes)} GiB beside ${gib(fixed)} GiB of weights, ` +
          `scratch and texts; ${gib(system.availableBytes)} GiB are available`,
      )
    return config.kvCacheMemoryBytes
  }
  if (fixed > system.availableBytes)
    throw new ConfigError(
      `weights, scratch and texts need ${gib(fixed)} GiB; ${gib(system.availableBytes)} GiB are available. ` +
        "HINT: --max-num-batched-tokens makes scratch smaller, --max-body-bytes texts",
    )
  const free = system.availableBytes - fixed
  const most = mostUseful(config, needs)
  if (config.memoryUtilization !== null)
    return Math.min(free, Math.max(0, system.totalBytes * config.memoryUtilization - fixed), most)
  return Math.min(DEFAULT_KV_BYTES, free * DEFAULT_SHARE_OF_AVAILABLE, most)
}

/** More blocks than all requests together can hold are of no use but for a longer memory of prefixes: stop at twice. */
function mostUseful(config: EngineConfig, needs: MemoryNeeds): number {
  const length = config.maxModelLen ?? needs.modelMaxLen
  const blocks = Math.ceil(length / config.blockSize) * config.maxNumSeqs * 2 + 1
  return blocks * needs.bytesPerBlock
}

/** Kernels number the places of the cache with 32 bits. */
function mostBlocks({ blockSize }: EngineConfig): number {
  return Math.floor(MAX_KV_SLOTS / blockSize)
}

/** The plan in words, for the terminal. */
export function describePlan(plan: MemoryPlan): string[] {
  const shortened = plan.maxModelLen < plan.modelMaxLen
    ? ` (the model allows ${plan.modelMaxLen}; more KV cache or --max-model-len changes this)`
    : ""
  return [
    `memory plan: weights ${mib(plan.weightBytes)} MiB, scratch ${mib(plan.scratchBytes)} MiB, ` +
      `texts ${mib(plan.textBytes)} MiB, KV cache ${mib(plan.kvCacheBytes)} MiB; ` +
      `available ${mib(plan.availableBytes)} MiB`,
    `KV cache: ${plan.capacityTokens} tokens in ${plan.numBlocks} blocks of ${plan.blockSize}; ` +
      `${plan.maxConcurrency.toFixed(2)} requests of the maximum length ${plan.maxModelLen} at once${shortened}`,
  ]
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(2)
}

function mib(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toString()
}
