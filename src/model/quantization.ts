/**
 * What `--quantization` makes of a checkpoint's weights: groups of 32 columns of a row, as bz_weight_create says.
 *
 * int8   everything in 8 bits.
 * int4   layers in 4 bits; the embedding and the output head in 8. The head's errors go into the logits as they are,
 *        with no layer after it to even them out, and no prompt reads more of the embedding than its own rows. Biases,
 *        norms and routers stay float32.
 */
import { ConfigError } from "../base/errors.ts"
import type { ComputeOf, LinearWeight } from "./weights.ts"

export type Quantization = "int8" | "int4"

export interface WeightFormat {
  /** "auto": as the checkpoint stores them. */
  readonly dtype: "auto" | "float32" | "bfloat16" | "float16"
  readonly quantization: Quantization | null
}

const FLOATS: readonly string[] = ["F32", "F16", "BF16"]

/** Errors: `ConfigError` when weights are to be quantized that are quantized already. */
export function computeOf(format: WeightFormat, weights: readonly LinearWeight[]): ComputeOf {
  const { dtype, quantization } = format
  // A router's values are few, and which experts are chosen may hang on the last bits of its products.
  const orRouter = (compute: ComputeOf): ComputeOf =>
    (weight) => (weight.role === "router" ? "float32" : compute(weight))
  if (quantization === null) return orRouter(() => dtype)
  const quantized = weights.flatMap((weight) => weight.tensors).find((tensor) => !FLOATS.includes(tensor.dtype))
  if (quantized !== undefined)
    throw new ConfigError(
      `--quantization ${quantization} takes a checkpoint of floats (F32, F16, BF16), but ${quantized.name} is ` +
        `${quantized.dtype}. HINT: leave the flag out; quantized weights are used as they are`,
    )
  return orRouter((weight) => (weight.role === "vocabulary" ? "int8" : quantization))
}
