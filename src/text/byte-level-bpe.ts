/**
 * Byte-level BPE, one pre-token at a time, with the frequent pre-tokens remembered: by the merge table at first,
 * through tiktoken once there is text enough to be worth its start. Both give the same ids.
 */
import type { BpeRanks } from "./bpe-ranks.ts"
import { textToPiece } from "./byte-level.ts"
import { mergeLongPiece } from "./long-piece.ts"
import type { TextModel } from "./text-model.ts"
import { createRankEncoder, type RankEncoder } from "./tiktoken.ts"
import type { TokenizerJson } from "./tokenizer-json.ts"

/**
 * UTF-16 units from which a piece is merged by `mergeLongPiece`: tiktoken's time grows with the square of the
 * length.
 */
const LONG_PIECE = 256

/** Pieces remembered at most, and how long one may be: about 8 MB. Text repeats its short words. */
const MAX_CACHED_PIECES = 32_768
const MAX_CACHED_LENGTH = 64

/** Pieces merged by the table before tiktoken is started, which takes a tenth of a second. */
const TIKTOKEN_AFTER = 20_000

export class ByteLevelBpe implements TextModel {
  readonly kind = "tiktoken"
  readonly #ranks: BpeRanks
  readonly #cache = new Map<string, Int32Array>()
  /** With `ignore_merges`, pieces that are tokens although no merges lead to them. */
  readonly #wholePieces: ReadonlyMap<string, number>
  #numMerged = 0
  #tiktoken: RankEncoder | null = null
  #starting: Promise<void> | null = null

  constructor(json: TokenizerJson, ranks: BpeRanks) {
    this.#ranks = ranks
    this.#wholePieces = json.model["ignore_merges"] === true ? unreachable(json, ranks) : new Map()
  }

  warmUp(): Promise<void> {
    this.#starting ??= createRankEncoder(this.#ranks.pieceOfRank).then((encoder) => void (this.#tiktoken = encoder))
    return this.#starting
  }

  encodePiece(piece: string, out: number[]): void {
    const cached = this.#cache.get(piece)
    const ids = cached ?? this.#merge(piece)
    if (cached === undefined && piece.length <= MAX_CACHED_LENGTH) {
      if (this.#cache.size >= MAX_CACHED_PIECES) this.#cache.clear()
      this.#cache.set(piece, ids)
    }
    for (let i = 0; i < ids.length; i++) out.push(ids[i]!)
  }

  #merge(piece: string): Int32Array {
    if (this.#wholePieces.size > 0) {
      const id = this.#wholePieces.get(textToPiece(piece))
      if (id !== undefined) return Int32Array.of(id)
    }
    this.#numMerged += 1
    if (this.#numMerged === TIKTOKEN_AFTER) void this.warmUp()
    return Int32Array.from(this.#mergeToRanks(piece), (rank) => this.#ranks.idOfRank[rank]!)
  }

  #mergeToRanks(piece: string): ArrayLike<number> {
    const { hasAllBytes, idOfRank, merges } = this.#ranks
    const tiktoken = piece.length < LONG_PIECE ? this.#tiktoken : null
    if (tiktoken !== null && hasAllBytes) return tiktoken.encode_ordinary(piece)
    const bytes = new TextEncoder().encode(piece)
    const known = hasAllBytes ? bytes : bytes.filter((byte) => idOfRank[byte]! >= 0)
    if (tiktoken !== null && known.length === bytes.length) return tiktoken.encode_ordinary(piece)
    return mergeLongPiece(known, merges)
  }
}

function unreachable(json: TokenizerJson, ranks: BpeRanks): Map<string, number> {
  const reached = new Set(ranks.pieceOfRank)
  const pieces = new Map<string, number>()
  json.vocab.forEach((piece, id) => {
    if (!reached.has(piece)) pieces.set(piece, id)
  })
  return pieces
}
