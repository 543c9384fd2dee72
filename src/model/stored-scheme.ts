/** How a safetensors checkpoint stores the weights of its products: as floats, or by a scheme that kernels understand. */
import { toArrayBuffer, type Pointer } from "bun:ffi"
import { ConfigError } from "../base/errors.ts"
import type { CheckpointTensor } from "./load/checkpoint.ts"
import { isObject } from "./load/json-file.ts"

export type StoredScheme = GptqScheme | Fp8Scheme

/** 4-bit codes in int32 words, with scales and zeros for groups of columns. */
export interface GptqScheme {
  readonly kind: "gptq"
  /** Columns; 0: one group a row. */
  readonly groupSize: number
}

/** e4m3 values, with scales for blocks. */
export interface Fp8Scheme {
  readonly kind: "fp8"
  readonly blockRows: number
  readonly blockCols: number
}

/** A stack of rows of a weight, by the tensors that store it. */
export interface StoredPart {
  readonly n: number
  readonly scheme: "plain" | StoredScheme["kind"]
  readonly groupRows: number
  readonly groupCols: number
  readonly values: CheckpointTensor
  readonly scales: CheckpointTensor | null
  readonly zeros: CheckpointTensor | null
  readonly groupIndex: CheckpointTensor | null
}

/** Finds a tensor of a shape. Errors: `ConfigError` where it is missing or has another. */
export type FindTensor = (name: string, shape: readonly number[]) => CheckpointTensor

/** The key of config.json that tells of it. */
export const STORED_SCHEME_KEY = "quantization_config"
const GROUP_SIZES = [-1, 16, 32, 64, 128]
const CODES_PER_WORD = 8

/** Null: by no scheme that is known here. Errors: `ConfigError` for one that is, with settings that are not. */
export function readStoredScheme(config: Readonly<Record<string, unknown>>): StoredScheme | null {
  const settings = config[STORED_SCHEME_KEY]
  if (!isObject(settings)) return null
  if (settings["quant_method"] === "gptq") return readGptq(settings)
  if (settings["quant_method"] === "fp8") return readFp8(settings)
  return null
}

function readGptq(settings: Readonly<Record<string, unknown>>): GptqScheme {
  expect(settings, "bits", [4])
  expect(settings, "checkpoint_format", ["gptq", undefined, null])
  const groupSize = expect(settings, "group_size", GROUP_SIZES) as number
  return { kind: "gptq", groupSize: Math.max(0, groupSize) }
}

function readFp8(settings: Readonly<Record<string, unknown>>): Fp8Scheme {
  expect(settings, "fmt", ["e4m3", undefined, null])
  const size: unknown = settings["weight_block_size"] ?? [0, 0]
  const isSize = Array.isArray(size) && size.length === 2 && size.every((side) => Number.isInteger(side) && side >= 0)
  if (!isSize) throw wrong("weight_block_size", size, "two whole numbers")
  const [blockRows, blockCols] = size as [number, number]
  return { kind: "fp8", blockRows, blockCols }
}

function expect(settings: Readonly<Record<string, unknown>>, key: string, allowed: readonly unknown[]): unknown {
  const value = settings[key]
  if (allowed.includes(value)) return value
  throw wrong(key, value, allowed.filter((one) => one !== undefined && one !== null).join(", "))
}

function wrong(key: string, value: unknown, rule: string): ConfigError {
  const shown = (JSON.stringify(value) ?? "missing").slice(0, 80)
  return new ConfigError(`config.json: ${STORED_SCHEME_KEY}.${key} is ${shown}; supported: ${rule}`)
}

/** The rows [n, c] that are stored under `prefix`: by the scheme, or plainly where the checkpoint has a float weight. */
export function storedPart(
  prefix: string, [n, c]: readonly [number, number],
  { scheme, find, has }: { scheme: StoredScheme | null; find: FindTensor; has: (name: string) => boolean },
): StoredPart {
  if (scheme?.kind === "gptq" && has(`${prefix}.qweight`)) return gptqPart(prefix, [n, c], scheme, { find, has })
  if (scheme?.kind === "fp8" && has(`${prefix}.weight_scale_inv`)) {
    const { blockRows, blockCols } = scheme
    const shape = [Math.ceil(n / (blockRows || n)), Math.ceil(c / (blockCols || c))]
    return {
      n, scheme: "fp8", groupRows: blockRows, groupCols: blockCols, values: find(`${prefix}.weight`, [n, c]),
      zeros: null, groupIndex: null, scales: find(`${prefix}.weight_scale_inv`, shape),
    }
  }
  return plainPart(find(`${prefix}.weight`, [n, c]), n)
}

/** Types that mean something by a scheme alone. */
const NOT_PLAIN: readonly string[] = ["I32", "F8_E4M3"]

function plainPart(values: CheckpointTensor, n: number): StoredPart {
  if (NOT_PLAIN.includes(values.dtype))
    throw new ConfigError(`${values.name} is ${values.dtype}, which is no weight without the scales of a quantization`)
  return { n, scheme: "plain", groupRows: 0, groupCols: 0, values, scales: null, zeros: null, groupIndex: null }
}

function gptqPart(
  prefix: string, [n, c]: readonly [number, number], { groupSize }: GptqScheme,
  { find, has }: { find: FindTensor; has: (name: string) => boolean },
): StoredPart {
  if (n % CODES_PER_WORD !== 0 || c % CODES_PER_WORD !== 0)
    throw new ConfigError(`${prefix} is [${n}, ${c}]; GPTQ weights have multiples of ${CODES_PER_WORD} rows and columns`)
  const numGroups = Math.ceil(c / (groupSize || c))
  const index = has(`${prefix}.g_idx`) ? find(`${prefix}.g_idx`, [c]) : null
  return {
    n, scheme: "gptq", groupRows: 1, groupCols: groupSize,
    values: find(`${prefix}.qweight`, [c / CODES_PER_WORD, n]), scales: find(`${prefix}.scales`, [numGroups, n]),
    zeros: has(`${prefix}.qzeros`) ? find(`${prefix}.qzeros`, [numGroups, n / CODES_PER_WORD]) : null,
    // An index costs a pass over the activations: one that says what follows from the order is left out.
    groupIndex: index === null || isInOrder(index, groupSize || c) ? null : index,
  }
}

function isInOrder({ address, bytes }: CheckpointTensor, groupSize: number): boolean {
  const index = new Int32Array(toArrayBuffer(address as Pointer, 0, bytes).slice(0))
  return index.every((group, column) => group === Math.floor(column / groupSize))
}
