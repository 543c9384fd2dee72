/**
 * What a step costs at least: the bytes it has to read and the multiply-adds it has to do, whatever computes it. For
 * holding measured times against what the machine allows.
 */
import type { StageCost } from "../model/model-builder.ts"

/** Formats that a machine multiplies at rates of their own. */
export type ProductFormat = "int8" | "bf16" | "f32"
export type Products = Readonly<Record<ProductFormat, number>>

export interface StepCost {
  readonly bytes: number
  readonly products: Products
}

export interface ModelCost {
  /** Weights that every step reads: all but experts, and an embedding that is only looked up in. */
  readonly layerBytes: number
  /** The output head's, read by steps that sample. */
  readonly headBytes: number
  /** Multiply-adds with weights, of a token through the layers and of a sampled row through the head. */
  readonly layerProducts: Products
  readonly headProducts: Products
  /** One an attention. */
  readonly attentions: readonly AttentionCost[]
  /** States that a step reads and writes for each request. */
  readonly stateBytes: number
  /** One a product with a stack of experts. */
  readonly experts: readonly ExpertsCost[]
}

export interface ExpertsCost {
  readonly numExperts: number
  /** Experts that a token goes to. */
  readonly perToken: number
  readonly bytesPerExpert: number
  /** Multiply-adds of a token with one expert. */
  readonly products: number
  readonly format: ProductFormat
}

export interface AttentionCost {
  /** Tokens that are seen, the query's own included; 0: all. */
  readonly window: number
  /** Keys and values of one token. */
  readonly bytesPerToken: number
  /** Multiply-adds of one query token with one cached token: q k and p v. */
  readonly products: number
  readonly format: ProductFormat
}

/** From the ops of a forward pass. */
export function modelCost(stages: readonly StageCost[]): ModelCost {
  const body = { bytes: 0, products: { int8: 0, bf16: 0, f32: 0 } }
  const head = { bytes: 0, products: { int8: 0, bf16: 0, f32: 0 } }
  const attentions: AttentionCost[] = []
  const experts: ExpertsCost[] = []
  let stateBytes = 0
  for (const { rows, ops } of stages) {
    const sum = rows === "samples" ? head : body
    for (const op of ops) {
      if (op.kind === "attention") {
        const { window, bytesPerToken, products, dtype } = op
        attentions.push({ window, bytesPerToken, products, format: dtype === "F32" ? "f32" : "bf16" })
        continue
      }
      if (op.kind === "state") {
        stateBytes += 2 * op.bytes
        sum.products.f32 += op.products
        continue
      }
      if (op.kind === "heads") {
        sum.bytes += op.weight.bytes
        sum.products.f32 += op.weight.length
        continue
      }
      const { bytes, bits } = op.weight.info()
      const { n, c, numExperts } = op.weight
      const format = bits <= 8 ? "int8" : bits === 16 ? "bf16" : "f32"
      if (op.kind === "experts") {
        const { perToken } = op
        experts.push({ numExperts, perToken, bytesPerExpert: bytes / numExperts, products: n * c, format })
        continue
      }
      sum.bytes += bytes
      sum.products[format] += n * c
    }
  }
  return {
    layerBytes: body.bytes, layerProducts: body.products, headBytes: head.bytes, headProducts: head.products,
    attentions, experts, stateBytes,
  }
}

/** Experts that so many tokens go to, where each token's are any of them. */
function touchedExperts({ numExperts, perToken }: ExpertsCost, tokens: number): number {
  return numExperts * (1 - (1 - perToken / numExperts) ** tokens)
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

/** Weights once, of experts those that tokens go to, each request's keys, values and states once, every product. */
export function stepCost(model: ModelCost, plan: { readonly requests: readonly StepRequest[] }): StepCost {
  const products = { int8: 0, bf16: 0, f32: 0 }
  let [tokens, samples, kvBytes] = [0, 0, 0]
  for (const { numScheduledTokens: scheduled, numComputedTokens: computed, samples: doesSample } of plan.requests) {
    tokens += scheduled
    if (doesSample) samples++
    kvBytes += model.stateBytes
    for (const { window, bytesPerToken, products: perPair, format } of model.attentions) {
      const most = window > 0 ? window : Infinity
      kvBytes += bytesPerToken * Math.min(most, computed + scheduled)
      products[format] += perPair * (pairsUpTo(computed + scheduled, most) - pairsUpTo(computed, most))
    }
  }
  for (const format of ["int8", "bf16", "f32"] as const)
    products[format] += model.layerProducts[format] * tokens + model.headProducts[format] * samples
  let expertBytes = 0
  for (const experts of model.experts) {
    expertBytes += experts.bytesPerExpert * touchedExperts(experts, tokens)
    products[experts.format] += experts.products * experts.perToken * tokens
  }
  return { bytes: model.layerBytes + expertBytes + (samples > 0 ? model.headBytes : 0) + kvBytes, products }
}
