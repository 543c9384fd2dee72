/** How many blocks fit in the memory there is, and what that means for requests. */
import { ConfigError } from "../../base/errors.ts"
import type { KVCacheGroup } from "./kv-spec.ts"
import { policyOf } from "./policy-of.ts"

export interface RequestLimits {
  readonly maxModelLen: number
  /** The most tokens that one step computes. */
  readonly maxNumBatchedTokens: number
}

/** Bytes of one block id: a page in each layer of the largest group. */
export function bytesPerBlock(groups: readonly KVCacheGroup[]): number {
  return Math.max(0, ...groups.map(({ layers, pageBytes }) => layers.length * pageBytes))
}

/** Blocks, the null block included, that fit into `availableBytes`. */
export function numBlocksFor(groups: readonly KVCacheGroup[], availableBytes: number): number {
  return Math.max(0, Math.floor(availableBytes / bytesPerBlock(groups)))
}

/** Blocks that one request of the maximum length holds at most, over all groups. */
export function maxBlocksPerRequest(groups: readonly KVCacheGroup[], limits: RequestLimits): number {
  const { maxModelLen, maxNumBatchedTokens } = limits
  return groups.reduce((sum, { spec }) => sum + policyOf(spec).maxBlocksPerRequest(maxModelLen, maxNumBatchedTokens), 0)
}

/** Requests of the maximum length that `numBlocks` blocks hold at once; a fraction. */
export function maxConcurrency(groups: readonly KVCacheGroup[], numBlocks: number, limits: RequestLimits): number {
  return numBlocks / maxBlocksPerRequest(groups, limits)
}

/** Tokens that `numBlocks` blocks hold, when they are held by requests of the maximum length. */
export function capacityTokens(groups: readonly KVCacheGroup[], numBlocks: number, limits: RequestLimits): number {
  return Math.floor(maxConcurrency(groups, numBlocks, limits) * limits.maxModelLen)
}

/** The longest request, up to `limits.maxModelLen`, that fits into `availableBytes`; 0 when not even one token does. */
export function estimateMaxModelLen(
  groups: readonly KVCacheGroup[],
  availableBytes: number,
  limits: RequestLimits,
): number {
  const usable = numBlocksFor(groups, availableBytes) - 1
  const fits = (maxModelLen: number) => maxBlocksPerRequest(groups, { ...limits, maxModelLen }) <= usable
  let [fitting, beyond] = [0, limits.maxModelLen + 1]
  while (beyond - fitting > 1) {
    const middle = Math.floor((fitting + beyond) / 2)
    if (fits(middle)) fitting = middle
    else beyond = middle
  }
  return fitting
}

/**
 * Throws a ConfigError unless a request of the maximum length fits beside the null block: otherwise it could be
 * admitted and never finish.
 */
export function checkRequestFits(groups: readonly KVCacheGroup[], availableBytes: number, limits: RequestLimits): void {
  if (availableBytes <= 0) {
    throw new ConfigError(
      "No memory is left for the KV cache. HINT: raise --gpu-memory-utilization or --kv-cache-memory-bytes.",
    )
  }
  const neededBytes = (maxBlocksPerRequest(groups, limits) + 1) * bytesPerBlock(groups)
  if (neededBytes <= availableBytes) return
  const fitting = estimateMaxModelLen(groups, availableBytes, limits)
  throw new ConfigError(
    `One request of the maximum length (${limits.maxModelLen} tokens) needs ${gib(neededBytes)} GiB of KV cache, ` +
      `and ${gib(availableBytes)} GiB are available, enough for ${fitting} tokens. ` +
      "HINT: raise --kv-cache-memory-bytes or lower --max-model-len.",
  )
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(2)
}
