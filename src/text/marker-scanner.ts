/**
 * Finds fixed strings in a text that comes in pieces: stop strings, and whatever else opens or ends part of an answer.
 *
 * One automaton for all markers at once, over UTF-16 units. After any piece its state says how much of the end of the
 * text could still become a marker: exactly that much has to be kept from the reader, and no more.
 * Source: Aho and Corasick, Efficient String Matching (1975).
 */
import { assert } from "../base/assert.ts"

/** The longest end of the text that begins a marker: a place in the tree of all markers. */
interface Node {
  readonly depth: number
  readonly next: Map<number, Node>
  /** Where the text stands if its longest such end goes no further: the next shorter one. */
  fail: Node | null
  /** Of the markers that end here, the first in the list; -1 for none. */
  marker: number
  /** Units that a marker not yet complete may begin with. */
  numHeld: number
}

export interface MarkerMatch {
  /** Index into the list of markers. */
  readonly marker: number
  /** Units of the piece up to the marker's end. */
  readonly end: number
}

/** A list of markers, ready to be looked for; scanners of many texts share it. */
export class MarkerSet {
  readonly markers: readonly string[]
  readonly root: Node = makeNode(0)

  /** Requires: no empty marker. */
  constructor(markers: readonly string[]) {
    this.markers = markers
    for (const [i, marker] of markers.entries()) this.#add(marker, i)
    this.#link()
  }

  #add(marker: string, index: number): void {
    assert(marker !== "", "an empty marker is everywhere")
    let node = this.root
    for (let i = 0; i < marker.length; i++) {
      const unit = marker.charCodeAt(i)
      let child = node.next.get(unit)
      if (child === undefined) node.next.set(unit, (child = makeNode(i + 1)))
      node = child
    }
    if (node.marker < 0) node.marker = index
  }

  /** Breadth first, so that whatever a node refers to is complete. */
  #link(): void {
    const queue = [this.root]
    for (const node of queue) {
      for (const [unit, child] of node.next) {
        child.fail = node === this.root ? this.root : follow(node.fail ?? this.root, unit)
        const shorter = child.fail.marker
        if (shorter >= 0 && (child.marker < 0 || shorter < child.marker)) child.marker = shorter
        child.numHeld = child.next.size > 0 ? child.depth : child.fail.numHeld
        queue.push(child)
      }
    }
  }
}

/** Looks for a set's markers in one text. */
export class MarkerScanner {
  readonly #set: MarkerSet
  #node: Node

  constructor(set: MarkerSet) {
    this.#set = set
    this.#node = set.root
  }

  /** Units at the end of the text that may be the start of a marker. */
  get numHeld(): number {
    return this.#node.numHeld
  }

  /**
   * Reads the text's next piece up to the marker that completes first, or to its end: then null. Of markers that
   * complete together the first in the list counts. Behind a match the scan starts anew.
   */
  find(piece: string): MarkerMatch | null {
    for (let i = 0; i < piece.length; i++) {
      this.#node = follow(this.#node, piece.charCodeAt(i))
      const { marker } = this.#node
      if (marker < 0) continue
      this.#node = this.#set.root
      return { marker, end: i + 1 }
    }
    return null
  }

  /** Reads the next piece where no marker may end; one that begins here still counts when it ends later. */
  pass(piece: string): void {
    for (let i = 0; i < piece.length; i++) this.#node = follow(this.#node, piece.charCodeAt(i))
  }
}

function makeNode(depth: number): Node {
  return { depth, next: new Map(), fail: null, marker: -1, numHeld: 0 }
}

function follow(from: Node, unit: number): Node {
  for (let node = from; ; ) {
    const child = node.next.get(unit)
    if (child !== undefined) return child
    if (node.fail === null) return node
    node = node.fail
  }
}
