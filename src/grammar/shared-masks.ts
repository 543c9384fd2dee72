/**
 * Masks in shared memory, from the grammar thread to the thread that samples.
 *
 *     Int32     the last step whose rows are written
 *     Int32     [rows]          what each row is: `RowStatus`
 *     Uint32    [rows][words]   bit i % 32 of word i / 32: token i may come
 *
 * One step is under way at a time: rows are written between `step` of the protocol and the next one.
 */
export const RowStatus = {
  /** Every token may come: the row is not written. */
  free: 0,
  /** The row is a mask. */
  masked: 1,
  /** A token before this row is one that the grammar does not admit: whatever is sampled here is of no use. */
  unreachable: 2,
  /** The request has no grammar here, or its tokens were refused. A message says why. */
  failed: 3,
} as const
export type RowStatus = (typeof RowStatus)[keyof typeof RowStatus]

const HEADER_WORDS = 1

export class SharedMasks {
  readonly buffer: SharedArrayBuffer
  readonly rows: number
  readonly wordsPerRow: number
  readonly #words: Int32Array
  readonly #masks: Uint32Array

  /** Over `buffer`, or new memory. */
  constructor({ rows, vocabSize }: { rows: number; vocabSize: number }, buffer?: SharedArrayBuffer) {
    this.rows = rows
    this.wordsPerRow = Math.ceil(vocabSize / 32)
    const words = HEADER_WORDS + rows + rows * this.wordsPerRow
    this.buffer = buffer ?? new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
    this.#words = new Int32Array(this.buffer, 0, HEADER_WORDS + rows)
    this.#masks = new Uint32Array(this.buffer, this.#words.byteLength, rows * this.wordsPerRow)
  }

  /** Bytes from the start of `buffer` to the first mask: where native code finds them. */
  get masksOffset(): number {
    return this.#masks.byteOffset
  }

  row(row: number): Uint32Array {
    return this.#masks.subarray(row * this.wordsPerRow, (row + 1) * this.wordsPerRow)
  }

  status(row: number): RowStatus {
    return this.#words[HEADER_WORDS + row] as RowStatus
  }

  setStatus(row: number, status: RowStatus): void {
    this.#words[HEADER_WORDS + row] = status
  }

  /** Everything written before is visible to a thread that waits for `sequence`. */
  publish(sequence: number): void {
    Atomics.store(this.#words, 0, sequence)
    Atomics.notify(this.#words, 0)
  }

  /** Waits until the rows of step `sequence` are written. False: they are not after `milliseconds`. */
  wait(sequence: number, milliseconds: number): boolean {
    const end = performance.now() + milliseconds
    for (;;) {
      const done = Atomics.load(this.#words, 0)
      if (done === sequence) return true
      const left = end - performance.now()
      if (left <= 0) return false
      Atomics.wait(this.#words, 0, done, left)
    }
  }
}
