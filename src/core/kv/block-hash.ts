/**
 * Names of full blocks: equal names mean equal KV content, so a block can serve any request with the same prefix.
 *
 * name(i) = sha256(encode(name(i-1) or the root, token ids of block i, extra keys of block i)): a name covers the
 * whole prefix, because KV depends on everything before it. The encoding is canonical and injective (a digest, a
 * count, that many little-endian int32 ids, then the keys as JSON), so names agree between processes and machines.
 *
 * Extra keys separate equal tokens with unequal KV: the caller's cache salt in the block at token 0 (every later name
 * inherits it through the chain), keys that hold for all blocks, such as an adapter's name and path, and what encoder
 * inputs in the block are of.
 *
 * The one file of core that uses a host library: `node:crypto`'s one-shot hash is synchronous and deterministic.
 * A cryptographic hash, because tenants share the cache: nobody must be able to make two prompts collide.
 */
import { hash } from "node:crypto"
import { assert } from "../../base/assert.ts"
import type { TokenSequence } from "../token-list.ts"

/** A sha256 in hex. */
export type BlockHash = string & { readonly blockHash: unique symbol }

/** A tag, then its values: `["lora", name, path]`, `["cache_salt", salt]`. */
export type ExtraKey = readonly [tag: string, ...values: string[]]

/** A run of the prompt's positions whose embeddings an encoder computes, such as an image's. */
export interface EncoderInput {
  /** What it is of: equal keys mean equal embeddings. */
  readonly key: string
  /** Its first position in the prompt. */
  readonly offset: number
  readonly numTokens: number
}

const DIGEST_BYTES = 32

/** The parent of every first block. */
export const ROOT_HASH = hash("sha256", "baozi-block-root", "hex") as BlockHash

/** What a request gives for the naming of its blocks. */
export interface HashedPrefix {
  readonly tokenIds: TokenSequence
  /** Names of its first full blocks; grows with `tokenIds`. */
  readonly blockHashes: BlockHash[]
  readonly numPromptTokens: number
  /** Names of the prompt's full blocks that are known: of one prompt and salt, and shared by all that have them. */
  readonly promptHashes: BlockHash[]
  readonly cacheSalt: string | null
  /** Keys that hold for all its blocks. */
  readonly extraHashKeys: readonly ExtraKey[]
  /** Their token ids say nothing of what they are. */
  readonly encoderInputs: readonly EncoderInput[]
}

/** Names the full blocks of `prefix` that have no name yet. Nothing to do costs one comparison. */
export function extendBlockHashes(prefix: HashedPrefix, blockSize: number): void {
  const { tokenIds, blockHashes, promptHashes, numPromptTokens } = prefix
  for (let start = blockHashes.length * blockSize; start + blockSize <= tokenIds.length; start += blockSize) {
    const block = blockHashes.length
    const parent = blockHashes[block - 1] ?? null
    const range = { start, end: start + blockSize }
    const name = promptHashes[block] ?? hashBlock(parent, tokenIds, range, extraKeysOf(prefix, range))
    blockHashes.push(name)
    if (block === promptHashes.length && start + blockSize <= numPromptTokens) promptHashes.push(name)
  }
}

/** The keys of the block of the tokens [start, end). */
export function extraKeysOf(
  prefix: Pick<HashedPrefix, "cacheSalt" | "extraHashKeys" | "encoderInputs">,
  { start, end }: { start: number; end: number },
): readonly ExtraKey[] {
  const hasSalt = start === 0 && prefix.cacheSalt !== null && prefix.cacheSalt !== ""
  if (!hasSalt && prefix.encoderInputs.length === 0) return prefix.extraHashKeys
  const inputs = prefix.encoderInputs.filter(({ offset, numTokens }) => offset < end && offset + numTokens > start)
  return [
    ...prefix.extraHashKeys,
    ...inputs.map(({ key, offset }): ExtraKey => ["mm", key, `${offset - start}`]),
    ...(hasSalt ? [["cache_salt", prefix.cacheSalt as string] as const] : []),
  ]
}

let scratch = Buffer.alloc(4096)

/** The name of the block that holds `tokenIds[start, end)` after `parent` (null for the first block). */
export function hashBlock(
  parent: BlockHash | null,
  tokenIds: TokenSequence,
  range: { start: number; end: number },
  extraKeys: readonly ExtraKey[] = [],
): BlockHash {
  const tail = extraKeys.length === 0 ? null : Buffer.from(JSON.stringify(extraKeys), "utf8")
  const size = DIGEST_BYTES + 4 + 4 * (range.end - range.start) + (tail?.length ?? 0)
  if (size > scratch.length) scratch = Buffer.alloc(2 * size)
  scratch.write(parent ?? ROOT_HASH, 0, DIGEST_BYTES, "hex")
  let at = scratch.writeUInt32LE(range.end - range.start, DIGEST_BYTES)
  for (let i = range.start; i < range.end; i++) {
    const id = tokenIds.at(i)
    assert(id !== undefined, () => `no token at ${i} of ${tokenIds.length}`)
    at = scratch.writeInt32LE(id, at)
  }
  if (tail !== null) at += tail.copy(scratch, at)
  return hash("sha256", scratch.subarray(0, at), "hex") as BlockHash
}
