import type { OpName, OPS } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import type { NativeStream } from "../../ffi/library.ts"
import type { FieldsOf, StructValues } from "../../ffi/structs.ts"

/**
 * How many rows an op works on, known only when a step runs: the tokens of the step, its requests, or the rows whose
 * logits are wanted.
 */
export interface Counts {
  readonly tokens: number
  readonly requests: number
  readonly samples: number
}

type StructOf<N extends OpName> = (typeof OPS)[N]

interface PreparedOp {
  readonly name: OpName
  readonly args: Args<StructOf<OpName>>
  readonly counts: readonly (readonly [field: string, count: keyof Counts])[]
}

/**
 * The ops of a forward pass, written down once when the model is loaded: addresses are fixed, only row counts change
 * from step to step. A step is a walk over this list; one whose counts have been seen often enough is recorded on the
 * backend and replayed as one call.
 */
export class Program {
  readonly #ops: PreparedOp[] = []
  readonly #graphs = new Map<number, number>()
  readonly #seen = new Map<number, number>()

  /** Appends an op. `counts` names the fields that take this step's row counts. */
  add<N extends OpName>(
    name: N,
    args: Args<StructOf<N>>,
    counts: { readonly [F in FieldsOf<StructOf<N>>]?: keyof Counts },
  ): void {
    const entries = Object.entries(counts) as [string, keyof Counts][]
    this.#ops.push({ name, args: args as unknown as Args<StructOf<OpName>>, counts: entries })
  }

  get length(): number {
    return this.#ops.length
  }

  run(stream: NativeStream, counts: Counts): void {
    for (const op of this.#ops) {
      for (const [field, count] of op.counts) op.args.setField(field as never, counts[count])
      stream.run(op.name, op.args as never)
    }
  }

  /**
   * Like `run`; after `REPLAY_AFTER` steps of the same counts the ops are recorded and later steps replay the recording.
   * For decode steps only: one row a request, so that the counts are one number.
   */
  replay(stream: NativeStream, counts: Counts): void {
    const key = counts.tokens * 65536 + counts.samples
    const graph = this.#graphs.get(key)
    if (graph !== undefined) return stream.launch(graph)
    const seen = (this.#seen.get(key) ?? 0) + 1
    this.#seen.set(key, seen)
    if (seen < REPLAY_AFTER || this.#graphs.size >= MAX_GRAPHS) return this.run(stream, counts)
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
}

const REPLAY_AFTER = 2
const MAX_GRAPHS = 512

/** A prepared struct with its first values. */
export function args<N extends OpName>(struct: StructOf<N>, values: StructValues<StructOf<N>>): Args<StructOf<N>> {
  return new Args(struct, values)
}
