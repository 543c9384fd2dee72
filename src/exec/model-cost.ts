/**
 * What a step costs at least: the bytes it has to read and the multiply-adds it has to do, whatever computes it. For
 * holding measured times against what the machine allows.
 */
import type { ModelConfig } from "../model/config.ts"
import { LM_HEAD, type WeightMap } from "../model/weights.ts"

/** Formats that a machine multiplies at rates of their own. */
export type ProductFormat = "int8" | "bf16" | "f32"
export type Products = Readonly<Record<ProductFormat, number>>

export interface StepCost {
  readonly bytes: number
  readonly products: Products
}

export interface ModelCost {
  /** Weights that every step reads: all but an embedding that is only looked up in. */
  readonly layerBytes: number
  /** The output head's, read by steps that sample. */
  readonly headBytes: number
  /** Multiply-adds with weights, of a token through the layers and of a sampled row through the head. */
  readonly layerProducts: Products
  readonly headProducts: Products
  /** Keys and values of one token in one layer. */
  readonly kvBytesPerToken: number
  /** Multiply-adds of one query token with one cached token in one layer: q k and p v. */
  readonly attentionProducts: number
  readonly attentionFormat: ProductFormat
  /** Of each layer; 0 is the whole context. */
  readonly windows: readonly number[]
}

export function modelCost(config: ModelConfig, map: WeightMap, kvDtype: "F32" | "BF16"): ModelCost {
  const none = () => ({ int8: 0, bf16: 0, f32: 0 })
  const [layerProducts, headProducts] = [none(), none()]
  let [layerBytes, headBytes] = [0, 0]
  const headName = map.linears.some(({ name }) => name === LM_HEAD) ? LM_HEAD : "model.embed_tokens"
  for (const weight of map.linears) {
    const { bytes, bits } = weight.info()
    const format = bits <= 8 ? "int8" : bits === 16 ? "bf16" : "f32"
    if (weight.name === headName) {
      headBytes += bytes
      headProducts[format] += weight.n * weight.c
    } else if (weight.name !== "model.embed_tokens") {
      layerBytes += bytes
      layerProducts[format] += weight.n * weight.c
    }
  }
  const { numHeads, numKvHeads, headDim, numLayers, windows } = config
  return {
    layerBytes, headBytes, layerProducts, headProducts,
    kvBytesPerToken: 2 * numKvHeads * headDim * (kvDtype === "F32" ? 4 : 2),
    attentionProducts: 2 * numHeads * headDim, attentionFormat: kvDtype === "F32" ? "f32" : "bf16",
    windows: Array.from({ length: numLayers }, (_, l) => windows[l] ?? 0),
  }
}

/** Of `length` tokens, each with itself and those before it, `most` at most. */
function pairsUpTo(length: number, most: number): number {
  const grown = Math.min(length, most)
  return (grown * (grown + 1)) / 2 + (length > most ? (length - most) * most : 0)
}

/** As a `SchedulePlan` has them. */
export interface StepRequest {
  readonly numScheduledTokens: number
  readonly numComputedTokens: number
  readonly samples: boolean
}

/** Weights once, each request's keys and values once, every product. */
export function stepCost(model: ModelCost, plan: { readonly requests: readonly StepRequest[] }): StepCost {
  let [tokens, samples, kvTokens, pairs] = [0, 0, 0, 0]
  for (const { numScheduledTokens: scheduled, numComputedTokens: computed, samples: doesSample } of plan.requests) {
    tokens += scheduled
    if (doesSample) samples++
    for (const window of model.windows) {
      const most = window > 0 ? window : Infinity
      kvTokens += Math.min(most, computed + scheduled)
      pairs += pairsUpTo(computed + scheduled, most) - pairsUpTo(computed, most)
    }
  }
  const products = { int8: 0, bf16: 0, f32: 0 }
  for (const format of ["int8", "bf16", "f32"] as const)
    products[format] = model.layerProducts[format] * tokens + model.headProducts[format] * samples
  products[model.attentionFormat] += model.attentionProducts * pairs
  const weights = model.layerBytes + (samples > 0 ? model.headBytes : 0)
  return { bytes: weights + model.kvBytesPerToken * kvTokens, products }
}
