/** A text that comes in pieces, cut at its markers: what may still become part of one is held. */
import { MarkerScanner, type MarkerSet } from "../marker-scanner.ts"

export interface MarkedPiece {
  /** The certain text up to the marker, or up to what is held. */
  readonly text: string
  /** Index of the marker behind `text`; -1 where the piece ends without one. */
  readonly marker: number
  /** Units of the piece that were read. */
  readonly end: number
}

export class MarkedText {
  #set: MarkerSet
  #scanner: MarkerScanner
  #held = ""

  constructor(set: MarkerSet) {
    this.#set = set
    this.#scanner = new MarkerScanner(set)
  }

  /** Reads `piece` up to the first marker that completes, or all of it. */
  read(piece: string): MarkedPiece {
    const match = this.#scanner.find(piece)
    if (match === null) {
      const text = this.#held + piece
      const numHeld = this.#scanner.numHeld
      this.#held = numHeld === 0 ? "" : text.slice(-numHeld)
      return { text: numHeld === 0 ? text : text.slice(0, -numHeld), marker: -1, end: piece.length }
    }
    const text = this.#held + piece.slice(0, match.end)
    this.#held = ""
    const end = text.length - this.#set.markers[match.marker]!.length
    return { text: text.slice(0, end), marker: match.marker, end: match.end }
  }

  /** Looks for the markers of `set` from here on, in a text that begins anew. Returns what was held. */
  restart(set: MarkerSet): string {
    const held = this.#held
    this.#set = set
    this.#scanner = new MarkerScanner(set)
    this.#held = ""
    return held
  }

  /** The text has ended, or goes on in another way: gives back what was held. */
  takeHeld(): string {
    return this.restart(this.#set)
  }
}
