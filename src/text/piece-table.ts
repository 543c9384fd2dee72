/**
 * Vocabulary pieces and their ids.
 *
 * A hash table of our own because a merge list of 280,000 lines asks it three questions a line: it answers for a part
 * of a string, and for two parts joined, without making the strings, which takes a quarter of the time of a `Map`.
 */
const EMPTY = -1

export class PieceTable {
  readonly #mask: number
  /** Two numbers a slot: the piece's index, and its hash to leave most pieces uncompared. */
  readonly #slots: Int32Array
  /** By index, in the order of adding. */
  readonly #pieces: string[] = []
  readonly #ids: Int32Array
  /** All pieces' UTF-16 units in one array: one cache miss a comparison, where strings cost three. */
  #units: Uint16Array
  readonly #ends: Int32Array
  /** Index of the piece that `getJoint` found last: merge lists go through the vocabulary mostly in order. */
  #lastJoint = 0

  /** Room for `capacity` pieces. */
  constructor(capacity: number) {
    let slots = 16
    while (slots < capacity * 2) slots *= 2
    this.#mask = slots - 1
    this.#slots = new Int32Array(slots * 2).fill(EMPTY)
    this.#ids = new Int32Array(capacity)
    this.#ends = new Int32Array(capacity + 1)
    this.#units = new Uint16Array(16 * capacity)
  }

  get size(): number {
    return this.#pieces.length
  }

  /** False, and no change, when the piece is there already. */
  add(piece: string, id: number): boolean {
    const hash = hashOf(piece, 0, piece.length, 0)
    const slot = this.#find(hash, piece, 0, piece.length, piece, 0, 0)
    if (this.#slots[slot] !== EMPTY) return false
    const index = this.#pieces.push(piece) - 1
    this.#slots[slot] = index
    this.#slots[slot + 1] = hash
    this.#ids[index] = id
    this.#keepUnits(index, piece)
    return true
  }

  get(piece: string): number | undefined {
    const id = this.getPart(piece, 0, piece.length)
    return id < 0 ? undefined : id
  }

  has(piece: string): boolean {
    return this.get(piece) !== undefined
  }

  /** The id of `text`'s [from, to), or -1. */
  getPart(text: string, from: number, to: number): number {
    return this.#idAt(this.#find(hashOf(text, from, to, 0), text, from, to, text, 0, 0))
  }

  /** The id of `left`'s [0, leftEnd) followed by `right`'s [rightStart, rightEnd), or -1. */
  getJoint(left: string, leftEnd: number, right: string, rightStart: number, rightEnd: number): number {
    for (let index = this.#lastJoint; index < Math.min(this.#lastJoint + 2, this.size); index++) {
      if (!this.#equals(index, left, 0, leftEnd, right, rightStart, rightEnd)) continue
      this.#lastJoint = index
      return this.#ids[index]!
    }
    const hash = hashOf(right, rightStart, rightEnd, hashOf(left, 0, leftEnd, 0))
    const slot = this.#find(hash, left, 0, leftEnd, right, rightStart, rightEnd)
    if (this.#slots[slot] !== EMPTY) this.#lastJoint = this.#slots[slot]!
    return this.#idAt(slot)
  }

  /** In the order of adding. */
  forEach(visit: (piece: string, id: number) => void): void {
    for (let i = 0; i < this.#pieces.length; i++) visit(this.#pieces[i]!, this.#ids[i]!)
  }

  #idAt(slot: number): number {
    const index = this.#slots[slot]!
    return index === EMPTY ? -1 : this.#ids[index]!
  }

  #keepUnits(index: number, piece: string): void {
    const start = this.#ends[index]!
    const end = start + piece.length
    if (end > this.#units.length) {
      const grown = new Uint16Array(end * 2)
      grown.set(this.#units)
      this.#units = grown
    }
    for (let i = 0; i < piece.length; i++) this.#units[start + i] = piece.charCodeAt(i)
    this.#ends[index + 1] = end
  }

  /** The slot of `a`'s [aFrom, aTo) followed by `b`'s [bFrom, bTo): its own, or the empty one where it would go. */
  #find(hash: number, a: string, aFrom: number, aTo: number, b: string, bFrom: number, bTo: number): number {
    let slot = spread(hash) & this.#mask
    for (;;) {
      const index = this.#slots[2 * slot]!
      if (index === EMPTY) return 2 * slot
      if (this.#slots[2 * slot + 1] === hash && this.#equals(index, a, aFrom, aTo, b, bFrom, bTo)) return 2 * slot
      slot = (slot + 1) & this.#mask
    }
  }

  #equals(index: number, a: string, aFrom: number, aTo: number, b: string, bFrom: number, bTo: number): boolean {
    let at = this.#ends[index]!
    if (this.#ends[index + 1]! - at !== aTo - aFrom + bTo - bFrom) return false
    for (let i = aFrom; i < aTo; i++) if (this.#units[at++] !== a.charCodeAt(i)) return false
    for (let i = bFrom; i < bTo; i++) if (this.#units[at++] !== b.charCodeAt(i)) return false
    return true
  }
}

/** Goes on from `hash`, so that the hash of two strings joined is the second's started from the first's. */
function hashOf(text: string, from: number, to: number, hash: number): number {
  for (let i = from; i < to; i++) hash = Math.imul(hash, 0x01000193) + text.charCodeAt(i) + 1
  return hash | 0
}

/** The multiplication leaves the low bits weak. */
function spread(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}
