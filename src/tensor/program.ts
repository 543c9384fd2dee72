import type { Args } from "../../ffi/args.ts"
import type { NativeStream } from "../../ffi/stream.ts"
import type { OpName } from "../../ffi/structs.ts"

/**
 * How many rows an op works on, known only when a step runs: the tokens of the step, its requests, or the rows whose
 * logits are wanted.
 */
export type Dim = "tokens" | "requests" | "samples"
/** So many rows for each one of a kind: a token goes to several experts. */
export interface RowsEach {
  readonly dim: Dim
  readonly each: number
}
export type RowCount = Dim | RowsEach
export type Counts = Readonly<Record<Dim, number>>

interface PreparedOp {
  readonly name: OpName
  readonly args: Args<OpName>
  readonly counts: readonly (readonly [field: string, count: RowsEach])[]
  readonly rows: readonly RowPointer[]
}

/** A pointer at the first row of something that has a row for every token. */
interface RowPointer {
  readonly field: string
  readonly address: number
  readonly rowBytes: number
}

/** What a library says of how its ops are best given to it; see `LibraryTraits`. */
export interface ProgramTraits {
  readonly sliceTokens: number
  readonly maxGraphs: number
}

/**
 * The ops of a forward pass, written down once when the model is loaded: addresses are fixed, only row counts change
 * from step to step. A step is a walk over this list; one whose counts have been seen often enough is recorded on the
 * backend and replayed as one call.
 */
export class Program {
  readonly #traits: ProgramTraits
  readonly #ops: PreparedOp[] = []
  /** By counts, the one used last at the end. */
  readonly #graphs = new Map<number, number>()
  readonly #seen = new Map<number, number>()

  constructor(traits: ProgramTraits) {
    this.#traits = traits
  }

  /**
   * Appends an op. `counts` names the fields that take this step's row counts. `rows` names, for an op that treats each
   * token for itself, its pointers at tokens' rows with the bytes from row to row; other ops leave it out.
   */
  add<N extends OpName>(
    name: N, args: Args<N>, counts: Readonly<Partial<Record<string, RowCount>>>,
    rows: Readonly<Record<string, number>> = {},
  ): void {
    const entries = (Object.entries(counts) as [string, RowCount][]).map(([field, count]): [string, RowsEach] => (
      [field, typeof count === "string" ? { dim: count, each: 1 } : count]))
    const pointers = Object.entries(rows)
      .map(([field, rowBytes]) => ({ field, rowBytes, address: args.get(field as never) }))
      .filter((pointer) => pointer.address !== 0)
    this.#ops.push({ name, args: args as unknown as Args<OpName>, counts: entries, rows: pointers })
  }

  get length(): number {
    return this.#ops.length
  }

  /** Runs of ops that treat each token for itself go slice by slice when there are many tokens. */
  run(stream: NativeStream, counts: Counts): void {
    const ops = this.#ops
    const { sliceTokens } = this.#traits
    const isSliced = sliceTokens > 0 && counts.tokens > sliceTokens
    for (let from = 0; from < ops.length; ) {
      let end = from
      while (isSliced && end < ops.length && ops[end]!.rows.length > 0) end++
      if (end > from + 1) {
        this.#runSliced(stream, ops.slice(from, end), counts)
        from = end
      } else {
        runOp(stream, ops[from++]!, counts)
      }
    }
  }

  #runSliced(stream: NativeStream, ops: readonly PreparedOp[], counts: Counts): void {
    const { sliceTokens } = this.#traits
    for (let first = 0; first < counts.tokens; first += sliceTokens) {
      const slice = { ...counts, tokens: Math.min(sliceTokens, counts.tokens - first) }
      for (const op of ops) {
        for (const row of op.rows) op.args.setAddress(row.field as never, row.address + first * row.rowBytes)
        runOp(stream, op, slice)
      }
    }
    for (const op of ops) for (const row of op.rows) op.args.setAddress(row.field as never, row.address)
  }

  /**
   * Like `run`; after `REPLAY_AFTER` steps of the same counts the ops are recorded and later steps replay the
   * recording. For decode steps only: one row a request, so that the counts are one number. Of the recordings the
   * library keeps so many as its traits say; the one that was not used for longest goes.
   */
  replay(stream: NativeStream, counts: Counts): void {
    const key = counts.tokens * 65536 + counts.samples
    const graph = this.#graphs.get(key)
    if (graph !== undefined) {
      this.#graphs.delete(key)
      this.#graphs.set(key, graph)
      return stream.launch(graph)
    }
    const seen = (this.#seen.get(key) ?? 0) + 1
    this.#seen.set(key, seen)
    if (seen < REPLAY_AFTER || this.#traits.maxGraphs === 0) return this.run(stream, counts)
    if (this.#graphs.size >= this.#traits.maxGraphs) this.#dropOldest(stream)
    stream.captureBegin()
    this.run(stream, counts)
    const recorded = stream.captureEnd()
    this.#graphs.set(key, recorded)
    stream.launch(recorded)
  }

  dispose(stream: NativeStream): void {
    for (const graph of this.#graphs.values()) stream.destroyGraph(graph)
    this.#graphs.clear()
  }

  #dropOldest(stream: NativeStream): void {
    for (const [key, graph] of this.#graphs) {
      // It may be running.
      stream.synchronize()
      stream.destroyGraph(graph)
      this.#graphs.delete(key)
      this.#seen.delete(key)
      return
    }
  }
}

const REPLAY_AFTER = 2

function runOp(stream: NativeStream, op: PreparedOp, counts: Counts): void {
  for (const [field, { dim, each }] of op.counts) op.args.setField(field as never, counts[dim] * each)
  stream.run(op.name, op.args as never)
}
