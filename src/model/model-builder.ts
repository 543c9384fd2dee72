import type { Device, DeviceArray, Matrix } from "../tensor/device.ts"
import { BufferPlan } from "../tensor/buffers.ts"
import { Program, type Dim } from "../tensor/program.ts"
import { Stage, type ActivationBits, type OpCost, type StageContext, type StepInputs } from "./stage.ts"

/** What the runner reads of a forward pass. */
export interface ModelOutputs {
  /** The last layer's output for every token of a step. */
  readonly hidden: Matrix
  /** [samples, V], float32 */
  readonly logits: Matrix
}

/** Of one stage: what its ops cost. */
export interface StageCost {
  readonly rows: Dim
  readonly ops: readonly OpCost[]
}

/** A forward pass as it runs: a program a stage, and where its outputs lie. */
export interface BuiltModel extends ModelOutputs {
  program(stage: string): Program
  readonly costs: readonly StageCost[]
}

/**
 * Writes a forward pass down, once, when a model is loaded or planned: stages of ops over buffers that get their memory
 * when all is written.
 */
export class ModelBuilder implements StageContext {
  readonly device: Device
  readonly inputs: StepInputs
  /** Rows at most. */
  readonly sizes: Readonly<Record<Dim, number>>
  readonly activationBits: ActivationBits
  readonly buffers = new BufferPlan()
  readonly #stages: Stage[] = []

  constructor(
    device: Device, inputs: StepInputs,
    options: { sizes: Readonly<Record<Dim, number>>; activationBits: ActivationBits },
  ) {
    this.device = device
    this.inputs = inputs
    this.sizes = options.sizes
    this.activationBits = options.activationBits
  }

  /** Stages run in the order in which they are made. */
  stage(name: string, rows: Dim): Stage {
    const stage = new Stage(this, name, rows)
    this.#stages.push(stage)
    return stage
  }

  /** float32 values that are computed once. */
  constant(length: number, fill: () => Float32Array): DeviceArray {
    return this.device.constant(length, fill)
  }

  /** To be called once. */
  build({ hidden, logits }: ModelOutputs): BuiltModel {
    const { buffers } = this
    let index = 0
    for (const { ops } of this.#stages) {
      for (const { args, pointers } of ops) {
        for (const field of pointers) buffers.use(args.get(field as never), index)
        index += 1
      }
    }
    buffers.keep(hidden)
    buffers.keep(logits)
    buffers.allocate(this.device)
    const programs = new Map(this.#stages.map((stage) => [stage.name, this.#program(stage)]))
    const placed = (matrix: Matrix): Matrix => ({ ...matrix, address: buffers.resolve(matrix.address) })
    return {
      program: (name) => programs.get(name)!, hidden: placed(hidden), logits: placed(logits),
      costs: this.#stages.map(({ rows, ops }) => ({ rows, ops: ops.flatMap(({ cost }) => cost ?? []) })),
    }
  }

  #program({ ops }: Stage): Program {
    const program = new Program(this.device.traits)
    for (const { name, args, counts, rows, pointers } of ops) {
      for (const field of pointers) {
        const address = args.get(field as never)
        if (this.buffers.owns(address)) args.setAddress(field as never, this.buffers.resolve(address))
      }
      program.add(name, args, counts, rows)
    }
    return program
  }
}
