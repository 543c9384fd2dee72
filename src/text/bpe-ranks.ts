/**
 * From the merge list of a byte-level BPE model to the ranks that tiktoken works with.
 *
 * The two algorithms differ. Hugging Face merges only the pairs that are listed, in the order of the list; tiktoken
 * merges any two neighbours whose bytes form a token, lowest rank first. They agree exactly when tiktoken knows the
 * tokens that the list can make, each with the rank of the one pair that makes it. That pair is unique: as long as no
 * merge crosses the border of a token's bytes they develop as if they stood alone, and once one does the token is out
 * of reach. So it is enough to look at every token alone. Tokens out of reach are left out: no text gives them.
 *
 * Most lists are in the order of making: the parts of a token come before it. Then `isReachable` decides quickly.
 * A few merges in vocabularies that were extended by hand come before their parts; those, and tokens that contain their
 * results, are decided by merging their bytes.
 */
import { ConfigError } from "../base/errors.ts"
import { byteToChar, pieceToBytes } from "./byte-level.ts"
import { mergeLongPiece } from "./long-piece.ts"
import { MergeTable } from "./merge-table.ts"
import type { TokenizerJson } from "./tokenizer-json.ts"

export interface BpeRanks {
  /** Token id of each rank; ranks 0 to 255 are the single bytes in byte order, -1 where the vocabulary has none. */
  readonly idOfRank: Int32Array
  /** Whether every byte has a token. Hugging Face leaves out the bytes that have none, before it merges. */
  readonly hasAllBytes: boolean
  /** Piece of each rank, in the byte-level alphabet. */
  readonly pieceOfRank: readonly string[]
  /** (rank, rank) -> rank. */
  readonly merges: MergeTable
}

/**
 * Ranks that make tiktoken equal to `json`'s merges, or the reason why there are none.
 * Throws `ConfigError` on a merge of pieces outside the vocabulary, unless `json` says to pass over those.
 */
export function deriveBpeRanks(json: TokenizerJson): BpeRanks | string {
  const odd = oddModelField(json)
  if (odd !== null) return odd
  const byteIds: number[] = []
  for (let byte = 0; byte < 256; byte++) {
    byteIds.push(json.vocab.get(byteToChar(byte)) ?? -1)
  }
  if (byteIds.includes(-1) && typeof json.model["unk_token"] === "string")
    return "bytes without a token give the unknown token"
  const pieceOfId: string[] = []
  json.vocab.forEach((piece, id) => (pieceOfId[id] ??= piece))
  const order = new MergeOrder(json, byteIds, pieceOfId)
  order.readMerges()
  return order.decideUndecided() ?? order.finish()
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

/**
 * Which merges make tokens. While this is being found out a token's number is 256 plus its merge's position in the
 * list, so that one that is found late has its place; `finish` closes the gaps.
 */
class MergeOrder {
  readonly #json: TokenizerJson
  readonly #byteIds: readonly number[]
  readonly #pieceOfId: readonly string[]
  /** Token id -> number, -1 while nothing makes the token. */
  readonly #numberOfId: Int32Array
  /** By number: token id, and the two numbers it is made of (itself for a byte). */
  readonly #ids: Int32Array
  readonly #left: Int32Array
  readonly #right: Int32Array
  readonly #merges: MergeTable
  /** Positions of the merges that `isReachable` could not or did not accept, with left id, right id, result. */
  readonly #undecided: (readonly [position: number, left: number, right: number, id: number])[] = []

  constructor(json: TokenizerJson, byteIds: readonly number[], pieceOfId: readonly string[]) {
    this.#json = json
    this.#byteIds = byteIds
    this.#pieceOfId = pieceOfId
    const end = 256 + json.merges.length
    this.#numberOfId = new Int32Array(pieceOfId.length).fill(-1)
    this.#ids = new Int32Array(end).fill(-1)
    this.#left = new Int32Array(end)
    this.#right = new Int32Array(end)
    this.#merges = new MergeTable(Math.min(json.merges.length, json.vocab.size))
    byteIds.forEach((id, byte) => {
      if (id >= 0) this.#numberOfId[id] = byte
      this.#ids[byte] = id
      this.#left[byte] = byte
      this.#right[byte] = byte
    })
  }

  readMerges(): void {
    const { vocab, merges, skipsUnknownMerges } = this.#json
    for (let position = 0; position < merges.length; position++) {
      const merge = merges[position]!
      const isText = typeof merge === "string"
      const left = isText ? merge : merge[0]
      const right = isText ? merge : merge[1]
      const leftEnd = isText ? merge.indexOf(" ", 1) : left.length
      const rightStart = isText ? leftEnd + 1 : 0
      const id = vocab.getJoint(left, leftEnd, right, rightStart, right.length)
      if (id >= 0 && this.#numberOfId[id]! >= 0) continue
      const leftId = vocab.getPart(left, 0, leftEnd)
      const rightId = vocab.getPart(right, rightStart, right.length)
      if (leftEnd < 1 || id < 0 || leftId < 0 || rightId < 0) {
        if (leftEnd >= 1 && skipsUnknownMerges === true) continue
        throw new ConfigError(
          `tokenizer: merge ${JSON.stringify(merge)} is not of two pieces of the vocabulary that join to a third`,
        )
      }
      const x = this.#numberOfId[leftId]!
      const y = this.#numberOfId[rightId]!
      if (x >= 0 && y >= 0 && this.#isReachable(x, y)) this.#accept(position, x, y, id)
      else this.#undecided.push([position, leftId, rightId, id])
    }
  }

  #accept(position: number, left: number, right: number, id: number): void {
    const number = 256 + position
    this.#numberOfId[id] = number
    this.#ids[number] = id
    this.#left[number] = left
    this.#right[number] = right
    this.#merges.set(left, right, number)
  }

  /**
   * Whether the bytes of `left` and `right` end as these two tokens under the merges added so far: they do unless a
   * merge across their border comes before the ones inside. Walking both inner edges back in time, latest merge first,
   * meets every two tokens that ever touched at the border.
   */
  #isReachable(left: number, right: number): boolean {
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

  /**
   * Accepts the undecided merges whose token's bytes come to exactly their two parts, and returns a reason if that
   * unsettles an earlier decision. Shorter tokens first: what becomes of some bytes depends on shorter tokens alone.
   */
  decideUndecided(): string | null {
    const open = this.#undecided.filter(([, , , id]) => this.#numberOfId[id]! < 0)
    open.sort((a, b) => this.#pieceOfId[a[3]]!.length - this.#pieceOfId[b[3]]!.length)
    const late: string[] = []
    for (const [position, left, right, id] of open) {
      if (this.#numberOfId[id]! >= 0) continue
      const parts = this.#mergeBytes(this.#pieceOfId[id]!)
      if (parts.length !== 2 || parts[0] !== this.#numberOfId[left] || parts[1] !== this.#numberOfId[right]) continue
      this.#accept(position, parts[0]!, parts[1]!, id)
      late.push(this.#pieceOfId[id]!)
    }
    const holdsLate = containsAny(late)
    for (const number of this.#numberOfId) {
      const piece = number < 256 ? "" : this.#pieceOfId[this.#ids[number]!]!
      if (!holdsLate(piece)) continue
      const parts = this.#mergeBytes(piece)
      if (parts.length !== 1 || parts[0] !== number)
        return `the merges that make ${JSON.stringify(piece)} are out of order`
    }
    return null
  }

  #mergeBytes(piece: string): number[] {
    const bytes = pieceToBytes(piece)
    return bytes === null ? [] : mergeLongPiece(bytes, this.#merges)
  }

  finish(): BpeRanks {
    const rankOfNumber = new Int32Array(this.#ids.length)
    const numbers = new Int32Array(this.#ids.length)
    let size = 0
    for (let number = 0; number < this.#ids.length; number++) {
      if (number >= 256 && this.#ids[number] === -1) continue
      rankOfNumber[number] = size
      numbers[size++] = number
    }
    // Without gaps a token's rank is its number, and the table is right as it is.
    const isDense = size === this.#ids.length
    const merges = isDense ? this.#merges : new MergeTable(size)
    const idOfRank = new Int32Array(size)
    const pieceOfRank: string[] = []
    for (let rank = 0; rank < size; rank++) {
      const number = numbers[rank]!
      idOfRank[rank] = this.#ids[number]!
      pieceOfRank.push(rank < 256 ? byteToChar(rank) : this.#pieceOfId[idOfRank[rank]!]!)
      if (rank >= 256 && !isDense) merges.set(rankOfNumber[this.#left[number]!]!, rankOfNumber[this.#right[number]!]!, rank)
    }
    return { idOfRank, hasAllBytes: !this.#byteIds.includes(-1), pieceOfRank, merges }
  }
}

/** Whether a piece contains one of `parts` (of two characters or more). */
function containsAny(parts: readonly string[]): (piece: string) => boolean {
  const byStart = new Map<number, string[]>()
  const startOf = (text: string, at: number): number => (text.charCodeAt(at) << 16) | text.charCodeAt(at + 1)
  for (const part of parts) byStart.set(startOf(part, 0), [...(byStart.get(startOf(part, 0)) ?? []), part])
  if (byStart.size === 0) return () => false
  return (piece) => {
    for (let at = 0; at + 1 < piece.length; at++) {
      if (byStart.get(startOf(piece, at))?.some((part) => piece.startsWith(part, at)) === true) return true
    }
    return false
  }
}
