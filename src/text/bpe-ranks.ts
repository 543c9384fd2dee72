/**
 * From the merge list of a byte-level BPE model to the ranks that tiktoken works with.
 *
 * The two algorithms differ. Hugging Face merges only the pairs that are listed, in the order of the list; tiktoken
 * merges any two neighbours whose bytes form a token, lowest rank first. They agree exactly when every token can be
 * reached by the list when its bytes stand alone: then, in any context, the bytes of a token are last seen as the one
 * pair that also comes out of them alone (merges that cross their border would make the token impossible), so tiktoken
 * never uses a pair that is not listed. Tokens that the list cannot reach are left out of the ranks: no text gives them.
 *
 * Whether a pair is reachable is decided as merging goes: `left` + `right` stay two tokens unless a merge across
 * their border comes before the ones inside. Walking both inner edges back in time, latest merge first, meets every two
 * tokens that ever touched at the border.
 */
import { ConfigError } from "../base/errors.ts"
import { byteToChar } from "./byte-level.ts"
import { MergeTable } from "./merge-table.ts"
import type { TokenizerJson } from "./tokenizer-json.ts"

export interface BpeRanks {
  /** Token id of each rank; ranks 0 to 255 are the single bytes in byte order. */
  readonly idOfRank: Int32Array
  /** Piece of each rank, in the byte-level alphabet. */
  readonly pieceOfRank: readonly string[]
  /** (rank, rank) -> rank. */
  readonly merges: MergeTable
}

/**
 * Ranks that make tiktoken equal to `json`'s merges, or the reason why there are none.
 * Throws `ConfigError` on a merge of pieces outside the vocabulary.
 */
export function deriveBpeRanks(json: TokenizerJson): BpeRanks | string {
  const odd = oddModelField(json)
  if (odd !== null) return odd
  const builder = new RankBuilder(json.merges.length)
  const rankOfId = new Map<number, number>()
  for (let byte = 0; byte < 256; byte++) {
    const id = json.vocab.get(byteToChar(byte))
    if (id === undefined) return `byte ${byte} has no token`
    rankOfId.set(id, builder.addByte(id, byteToChar(byte)))
  }
  const early: [number, number][] = []
  for (const merge of json.merges) {
    const [left, right] = splitMerge(merge)
    const leftId = json.vocab.get(left)
    const rightId = json.vocab.get(right)
    const id = json.vocab.get(left + right)
    if (leftId === undefined || rightId === undefined || id === undefined) {
      throw new ConfigError(`tokenizer: merge ${JSON.stringify([left, right])} has a piece that is not in the vocabulary`)
    }
    if (rankOfId.has(id)) continue
    const leftRank = rankOfId.get(leftId)
    const rightRank = rankOfId.get(rightId)
    if (leftRank === undefined || rightRank === undefined) early.push([leftId, rightId])
    else if (builder.isReachable(leftRank, rightRank)) rankOfId.set(id, builder.addMerge(leftRank, rightRank, id, left + right))
  }
  const misordered = early.some(([left, right]) => rankOfId.has(left) && rankOfId.has(right))
  return misordered ? "a merge comes before the merges that make its parts" : builder.finish()
}

/** Model settings that tiktoken has no counterpart for. */
function oddModelField({ modelType, model }: TokenizerJson): string | null {
  if (modelType !== "BPE") return `model type ${modelType}`
  for (const field of ["unk_token", "continuing_subword_prefix", "end_of_word_suffix", "dropout"]) {
    const value = model[field]
    if (value !== null && value !== undefined && value !== "" && value !== 0) {
      // An unknown token never shows when every byte has a token of its own.
      if (field !== "unk_token") return `model.${field} is set`
    }
  }
  return null
}

/** "left right" or [left, right]. */
function splitMerge(merge: string | readonly [string, string]): readonly [string, string] {
  if (typeof merge !== "string") return merge
  const space = merge.indexOf(" ", 1)
  if (space < 1 || space === merge.length - 1) {
    throw new ConfigError(`tokenizer: merge ${JSON.stringify(merge)} must be two pieces with a space between`)
  }
  return [merge.slice(0, space), merge.slice(space + 1)]
}

class RankBuilder {
  readonly #ids: number[] = []
  readonly #pieces: string[] = []
  /** The two ranks a rank was made of; itself for a byte. */
  readonly #left: Int32Array
  readonly #right: Int32Array
  readonly #merges: MergeTable

  constructor(maxMerges: number) {
    this.#left = new Int32Array(256 + maxMerges)
    this.#right = new Int32Array(256 + maxMerges)
    this.#merges = new MergeTable(maxMerges)
  }

  addByte(id: number, piece: string): number {
    const rank = this.#ids.push(id) - 1
    this.#pieces.push(piece)
    this.#left[rank] = rank
    this.#right[rank] = rank
    return rank
  }

  addMerge(left: number, right: number, id: number, piece: string): number {
    const rank = this.#ids.push(id) - 1
    this.#pieces.push(piece)
    this.#left[rank] = left
    this.#right[rank] = right
    this.#merges.set(left, right, rank)
    return rank
  }

  /** Whether the bytes of `left` and `right` end as these two tokens under the merges added so far. */
  isReachable(left: number, right: number): boolean {
    let x = left
    let y = right
    let limit = Infinity
    for (;;) {
      const across = this.#merges.get(x, y)
      if (across >= 0 && across < limit) return false
      // Undo the later of the two. Equal ranks merge leftmost first: the left side's inner merge wins over the border,
      // the border over the right side's.
      const undoLeft = x >= 256 && (x > y || y < 256)
      if (!undoLeft && y < 256) return true
      if (undoLeft) {
        limit = x
        x = this.#right[x]!
      } else {
        limit = y + 1
        y = this.#left[y]!
      }
    }
  }

  finish(): BpeRanks {
    return { idOfRank: Int32Array.from(this.#ids), pieceOfRank: this.#pieces, merges: this.#merges }
  }
}
