/**
 * What an architecture asks of a checkpoint, first as a list (so that memory is planned before anything is loaded),
 * then loaded in one pass that gives file pages back as it goes.
 *
 * Invariants
 *   1. A tensor whose shape is not what the config says is an error that names both.
 *   2. A checkpoint tensor that nobody reads is an error: an ignored weight is a wrong model.
 */
import type { Compute } from "../../ffi/abi.ts"
import type { NativeWeight, WeightPart } from "../../ffi/weight.ts"
import { assert, present } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import type { Device, DeviceArray } from "../tensor/device.ts"
import type { Checkpoint, CheckpointTensor } from "./load/checkpoint.ts"
import { HeadWeight } from "./head-weights.ts"
import { floatsOf } from "./load/floats.ts"
import { isSameTensor } from "./load/same-tensor.ts"
import { quantizationOfTensors } from "./stored-quantization.ts"
import { storedPart, type StoredPart, type StoredScheme } from "./stored-scheme.ts"

/** The output head's name, without the ending. */
export const LM_HEAD = "lm_head"

/** How a weight is held and multiplied. */
export type ComputeOf = (weight: LinearWeight) => Compute

/**
 * What a product is for. Vocabulary: a row a token, in the embedding, the output head, or both. Router: what chooses
 * experts; it is small, and with rounded values it may choose others.
 */
export type WeightRole = "layer" | "vocabulary" | "router"

interface WeightOptions {
  readonly bias: readonly CheckpointTensor[]
  readonly role: WeightRole
  /** 0: a matrix. */
  readonly numExperts: number
}

/** A matrix product's weight [n, c], or a stack of them, laid out for the kernels, with its bias. */
export class LinearWeight {
  readonly name: string
  readonly n: number
  readonly c: number
  /** Stacked along the rows; of a stack those of each expert, one after the other. */
  readonly parts: readonly StoredPart[]
  readonly biasTensors: readonly CheckpointTensor[]
  readonly role: WeightRole
  /** 0: it is a matrix. */
  readonly numExperts: number
  #native: NativeWeight | null = null
  #bias: DeviceArray | null = null

  constructor(
    name: string, n: number, c: number, parts: readonly StoredPart[], { bias, role, numExperts }: WeightOptions,
  ) {
    this.name = name
    this.n = n
    this.c = c
    this.parts = parts
    this.biasTensors = bias
    this.role = role
    this.numExperts = numExperts
  }

  /** Those that hold the parts' values. */
  get tensors(): readonly CheckpointTensor[] {
    return this.parts.map(({ values }) => values)
  }

  get address(): number {
    return present(this.#native, this.name).address
  }

  /** 0 when there is none. */
  get biasAddress(): number {
    return this.#bias?.address ?? 0
  }

  info(): { bytes: number; bits: number } {
    return present(this.#native, this.name).info()
  }

  load(device: Device, compute: Compute): void {
    assert(this.#native === null, () => `${this.name} is loaded twice`)
    this.#native = device.weight({ n: this.n, c: this.c, numExperts: this.numExperts, compute }, this.#parts())
    if (this.biasTensors.length > 0) this.#bias = concatFloats(device, this.biasTensors)
    if (device.isPlanning) return
    for (const { values, scales, zeros, groupIndex } of this.parts)
      for (const tensor of [values, scales, zeros, groupIndex]) tensor?.release()
  }

  destroy(): void {
    this.#native?.destroy()
    this.#native = null
    this.#bias = null
  }

  #parts(): WeightPart[] {
    const value = (tensor: CheckpointTensor) => ({ address: tensor.address, bytes: tensor.bytes, dtype: tensor.dtype })
    return this.parts.map(({ n, scheme, groupRows, groupCols, values, scales, zeros, groupIndex }) => ({
      n, scheme, groupRows, groupCols, values: value(values), scales: scales && value(scales),
      zeros: zeros && value(zeros), groupIndex: groupIndex && value(groupIndex),
    }))
  }
}

/** A few float32 values: norm weights. */
export class VectorWeight {
  readonly tensor: CheckpointTensor
  readonly #arrange: Arrange
  #array: DeviceArray | null = null

  /** `arrange`: the stored values as the kernels take them. */
  constructor(tensor: CheckpointTensor, arrange: Arrange = (values) => values) {
    this.tensor = tensor
    this.#arrange = arrange
  }

  get address(): number {
    return present(this.#array, this.tensor.name).address
  }

  load(device: Device): void {
    const length = this.tensor.shape.reduce((product, size) => product * size, 1)
    this.#array = device.constant(length, () => {
      const values = this.#arrange(floatsOf(this.tensor))
      this.tensor.release()
      return values
    })
  }
}

/** Makes as many values of those that are stored. */
export type Arrange = (values: Float32Array) => Float32Array

function concatFloats(device: Device, tensors: readonly CheckpointTensor[]): DeviceArray {
  const length = tensors.reduce((sum, tensor) => sum + present(tensor.shape[0], tensor.name), 0)
  return device.constant(length, () => {
    const values = new Float32Array(length)
    let at = 0
    for (const tensor of tensors) {
      const part = floatsOf(tensor)
      values.set(part, at)
      at += part.length
      tensor.release()
    }
    return values
  })
}

/** Reads a checkpoint by name for one architecture. */
export class WeightMap {
  readonly checkpoint: Checkpoint
  readonly linears: LinearWeight[] = []
  readonly vectors: VectorWeight[] = []
  readonly heads: HeadWeight[] = []
  /** What the user should know of the checkpoint. */
  readonly warnings: string[] = []
  readonly #read = new Set<string>()
  readonly #scheme: StoredScheme | null

  /** `scheme`: by which weights of products may be stored. */
  constructor(checkpoint: Checkpoint, scheme: StoredScheme | null = null) {
    this.checkpoint = checkpoint
    this.#scheme = scheme
  }

  has(name: string): boolean {
    return this.checkpoint.get(name) !== null
  }

  /** One weight from tensors stacked along their rows: `[["q_proj", 576], ["k_proj", 192]]`, all `c` columns wide. */
  linear(parts: readonly (readonly [prefix: string, n: number])[], c: number, options: { bias: boolean }): LinearWeight {
    return this.#linear(parts, c, { ...options, role: "layer" })
  }

  /** A weight with a row a token, `c` columns wide. */
  vocabulary(prefix: string, n: number, c: number): LinearWeight {
    return this.#linear([[prefix, n]], c, { bias: false, role: "vocabulary" })
  }

  /** A weight with a row an expert, which scores them. */
  router(prefix: string, numExperts: number, c: number): LinearWeight {
    return this.#linear([[prefix, numExperts]], c, { bias: false, role: "router" })
  }

  /** A stack of matrices, each like `linear`'s: `parts` of expert `e`, which has the same sizes in all of them. */
  experts(
    numExperts: number, parts: (expert: number) => readonly (readonly [prefix: string, n: number])[], c: number,
  ): LinearWeight {
    const all = Array.from({ length: numExperts }, (_, e) => parts(e))
    const rows = all[0]!.reduce((sum, [, n]) => sum + n, 0)
    const name = all[0]!.map(([prefix]) => prefix).join("+")
    return this.#add(name, rows, c, this.#storedParts(all.flat(), c), { bias: [], role: "layer", numExperts })
  }

  #linear(
    parts: readonly (readonly [prefix: string, n: number])[], c: number,
    options: { bias: boolean; role: WeightRole },
  ): LinearWeight {
    const bias = options.bias ? parts.map(([prefix, n]) => this.#tensor(`${prefix}.bias`, [n])) : []
    const rows = parts.reduce((sum, [, n]) => sum + n, 0)
    const name = parts.map(([prefix]) => prefix).join("+")
    return this.#add(name, rows, c, this.#storedParts(parts, c), { bias, role: options.role, numExperts: 0 })
  }

  #storedParts(parts: readonly (readonly [prefix: string, n: number])[], c: number): StoredPart[] {
    const [find, has] = [this.#tensor.bind(this), this.has.bind(this)]
    return parts.map(([prefix, n]) => storedPart(prefix, [n, c], { scheme: this.#scheme, find, has }))
  }

  #add(name: string, n: number, c: number, parts: readonly StoredPart[], options: WeightOptions): LinearWeight {
    const weight = new LinearWeight(name, n, c, parts, options)
    this.linears.push(weight)
    return weight
  }

  /**
   * Of a model whose config ties the output head to the embedding: whether the checkpoint stores a head with other
   * values, as fine-tuning that unties them does. It is then the one to compute with. A copy of the embedding is left
   * unread, and so is what cannot be its head.
   */
  hasOwnHead(embed: LinearWeight): boolean {
    const name = `${LM_HEAD}.weight`
    const stored = this.checkpoint.get(name)
    if (stored === null) return false
    const embedding = present(embed.tensors[0], embed.name)
    const canBeHead = Bun.deepEquals(stored.shape, embedding.shape)
    const isCopy = canBeHead && isSameTensor(stored, embedding)
    const outcome = canBeHead
      ? "that differs from it: the stored one is used"
      : `of [${stored.shape.join(", ")}]: it is left out`
    if (!isCopy)
      this.warnings.push(`config.json ties the output head to the embedding; the checkpoint has a ${name} ${outcome}`)
    if (isCopy || !canBeHead) this.#read.add(name)
    if (isCopy) stored.release()
    return canBeHead && !isCopy
  }

  vector(name: string, length: number): VectorWeight {
    const weight = new VectorWeight(this.#tensor(name, [length]))
    this.vectors.push(weight)
    return weight
  }

  /**
   * The matrices that latent attention puts in front of its queries and behind its results: of a tensor with
   * `keyDim + valueDim` rows a head and `rank` columns, the first rows transposed, the others as they are.
   */
  latentHeads(
    prefix: string,
    { numHeads, keyDim, valueDim, rank }: { numHeads: number; keyDim: number; valueDim: number; rank: number },
  ): { keys: HeadWeight; values: HeadWeight } {
    const headRows = keyDim + valueDim
    const part = this.#storedParts([[prefix, numHeads * headRows]], rank)[0]!
    const keys = new HeadWeight(part, { numHeads, headRows, first: 0, count: keyDim }, false)
    const values = new HeadWeight(part, { numHeads, headRows, first: keyDim, count: valueDim }, true)
    this.heads.push(keys, values)
    return { keys, values }
  }

  /** Tensors that are known to take no part in what is computed here. */
  leaveOut(isUnused: (name: string) => boolean): void {
    for (const name of this.checkpoint.names()) if (isUnused(name)) this.#read.add(name)
  }

  /** The same of a tensor with several dimensions. */
  array(name: string, shape: readonly number[], arrange?: Arrange): VectorWeight {
    const weight = new VectorWeight(this.#tensor(name, shape), arrange)
    this.vectors.push(weight)
    return weight
  }

  /** Errors: `ConfigError` when the checkpoint holds tensors that the architecture did not read. */
  assertAllRead(): void {
    const unread = this.checkpoint.names().filter((name) => !this.#read.has(name) && !HARMLESS.test(name))
    if (unread.length === 0) return
    const some = unread.slice(0, 5).join(", ")
    throw new ConfigError(`the checkpoint has ${unread.length} tensors that this architecture does not read: ${some}`)
  }

  /** Of what is loaded, without vectors. */
  get linearBytes(): number {
    return this.linears.reduce((sum, w) => sum + w.info().bytes, 0)
  }

  /** On a planning device nothing is read: weights have sizes and no values. */
  load(device: Device, compute: ComputeOf): void {
    for (const vector of this.vectors) vector.load(device)
    for (const heads of this.heads) heads.load(device)
    for (const linear of this.linears) linear.load(device, compute(linear))
  }

  destroy(): void {
    for (const linear of this.linears) linear.destroy()
  }

  #tensor(name: string, shape: readonly number[]): CheckpointTensor {
    const tensor = this.checkpoint.get(name)
    if (tensor === null) throw this.#missing(name)
    this.#read.add(name)
    if (tensor.shape.length !== shape.length || tensor.shape.some((dim, i) => dim !== shape[i]))
      throw new ConfigError(
        `${name} is [${tensor.shape.join(", ")}] in the checkpoint, [${shape.join(", ")}] by the config`,
      )
    return tensor
  }

  #missing(name: string): ConfigError {
    const stored = new Set(this.checkpoint.names())
    const method = quantizationOfTensors(name.replace(/\.weight$/, ""), (other) => stored.has(other))
    const reason = method !== null
      ? `: its weights are quantized with ${method}, which is not supported`
      : name === `${LM_HEAD}.weight`
        ? `. HINT: where the output head is the embedding, --hf-overrides '{"tie_word_embeddings": true}' says so`
        : ""
    return new ConfigError(`the checkpoint has no tensor ${name}${reason}`)
  }
}

const HARMLESS = /rotary_emb\.inv_freq$|rope_freqs\.weight$/
