/**
 * DeepSeek's forward pass as its papers write it, in float64: keys and values of every head are computed from the
 * latents, one token after the other. For variants that no recorded reference covers. Source: arXiv:2405.04434,
 * arXiv:2412.19437.
 */
import { Prng } from "../../src/base/prng.ts"
import type { DeepSeekConfig } from "../../src/model/arch/deepseek.ts"
import { ropeFrequencies } from "../../src/model/rope.ts"

export type Tensors = Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>

/** Random weights under a checkpoint's names. */
export function randomTensors(c: DeepSeekConfig, seed: number): Tensors {
  const prng = new Prng(seed)
  const tensors: Tensors = new Map()
  const add = (name: string, shape: number[], spread: number, middle = 0): void => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (
      middle + spread * (2 * prng.float() - 1)))
    tensors.set(name, { shape, data })
  }
  const matrix = (name: string, n: number, cols: number): void => add(`${name}.weight`, [n, cols], 2 / Math.sqrt(cols))
  const norm = (name: string, n: number): void => add(`${name}.weight`, [n], 0.5, 1)
  const mlp = (prefix: string, size: number): void => {
    for (const part of ["gate_proj", "up_proj"]) matrix(`${prefix}.${part}`, size, c.hiddenSize)
    matrix(`${prefix}.down_proj`, c.hiddenSize, size)
  }
  const { memory: { rank, ropeDim }, nopeDim, valueDim, queryRank } = c.latent
  const [E, H] = [c.hiddenSize, c.numHeads]
  matrix("model.embed_tokens", c.vocabSize, E)
  matrix("lm_head", c.vocabSize, E)
  norm("model.norm", E)
  for (let l = 0; l < c.numLayers; l++) {
    const p = `model.layers.${l}`
    const a = `${p}.self_attn`
    norm(`${p}.input_layernorm`, E)
    norm(`${p}.post_attention_layernorm`, E)
    norm(`${a}.kv_a_layernorm`, rank)
    if (queryRank === null) matrix(`${a}.q_proj`, H * (nopeDim + ropeDim), E)
    else {
      matrix(`${a}.q_a_proj`, queryRank, E)
      norm(`${a}.q_a_layernorm`, queryRank)
      matrix(`${a}.q_b_proj`, H * (nopeDim + ropeDim), queryRank)
    }
    matrix(`${a}.kv_a_proj_with_mqa`, rank + ropeDim, E)
    matrix(`${a}.kv_b_proj`, H * (nopeDim + valueDim), rank)
    matrix(`${a}.o_proj`, E, H * valueDim)
    if (c.attentionBias) {
      if (queryRank !== null) add(`${a}.q_a_proj.bias`, [queryRank], 0.3)
      add(`${a}.kv_a_proj_with_mqa.bias`, [rank + ropeDim], 0.3)
      add(`${a}.o_proj.bias`, [E], 0.3)
    }
    if (!c.experts?.layers[l]) {
      mlp(`${p}.mlp`, c.intermediateSize)
      continue
    }
    const { numExperts, numShared, size, hasBias } = c.experts
    matrix(`${p}.mlp.gate`, numExperts, E)
    if (hasBias) add(`${p}.mlp.gate.e_score_correction_bias`, [numExperts], 0.2)
    for (let e = 0; e < numExperts; e++) mlp(`${p}.mlp.experts.${e}`, size)
    if (numShared > 0) mlp(`${p}.mlp.shared_experts`, numShared * size)
  }
  return tensors
}

type Vector = readonly number[]

/** The logits behind the last of `ids`. */
export function referenceLogits(c: DeepSeekConfig, tensors: Tensors, ids: readonly number[]): number[] {
  const data = (name: string) => tensors.get(name)!.data
  const times = (name: string, x: Vector): number[] => {
    const weight = data(`${name}.weight`)
    const bias = tensors.get(`${name}.bias`)?.data
    return Array.from({ length: weight.length / x.length }, (_, n) => (
      x.reduce((sum, value, i) => sum + value * weight[n * x.length + i]!, bias?.[n] ?? 0)))
  }
  const normed = (name: string, x: Vector): number[] => {
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + c.rmsNormEps)
    return x.map((value, i) => value * scale * data(`${name}.weight`)[i]!)
  }
  const mlp = (prefix: string, x: Vector): number[] => {
    const [gate, up] = [times(`${prefix}.gate_proj`, x), times(`${prefix}.up_proj`, x)]
    return times(`${prefix}.down_proj`, gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!))
  }
  const add = (x: Vector, y: Vector, scale = 1): number[] => x.map((value, i) => value + scale * y[i]!)
  const { memory: { rank, ropeDim }, nopeDim, valueDim, queryRank } = c.latent
  const keyDim = nopeDim + ropeDim
  const rotated = (x: Vector, position: number): number[] => {
    const { invFreq, attentionScaling } = ropeFrequencies(c.rope, c.maxModelLen)
    const out = [...x]
    for (let i = 0; i < ropeDim / 2; i++) {
      const [a, b] = c.ropeInterleaved ? [2 * i, 2 * i + 1] : [i, i + ropeDim / 2]
      const phase = position * invFreq[i]!
      const [cos, sin] = [Math.cos(phase) * attentionScaling, Math.sin(phase) * attentionScaling]
      out[a] = x[a]! * cos - x[b]! * sin
      out[b] = x[b]! * cos + x[a]! * sin
    }
    return out
  }
  const caches = Array.from({ length: c.numLayers }, () => ({ keys: [] as Vector[][], values: [] as Vector[][] }))
  const attend = (l: number, x: Vector, position: number): number[] => {
    const a = `model.layers.${l}.self_attn`
    const q = queryRank === null
      ? times(`${a}.q_proj`, x)
      : times(`${a}.q_b_proj`, normed(`${a}.q_a_layernorm`, times(`${a}.q_a_proj`, x)))
    const down = times(`${a}.kv_a_proj_with_mqa`, x)
    const kv = times(`${a}.kv_b_proj`, normed(`${a}.kv_a_layernorm`, down.slice(0, rank)))
    const shared = rotated(down.slice(rank), position)
    const { keys, values } = caches[l]!
    const heads = Array.from({ length: c.numHeads }, (_, h) => h)
    const ofHead = heads.map((h) => kv.slice(h * (nopeDim + valueDim), (h + 1) * (nopeDim + valueDim)))
    keys.push(ofHead.map((each) => [...each.slice(0, nopeDim), ...shared]))
    values.push(ofHead.map((each) => each.slice(nopeDim)))
    const out = heads.flatMap((h) => {
      const own = q.slice(h * keyDim, (h + 1) * keyDim)
      const query = [...own.slice(0, nopeDim), ...rotated(own.slice(nopeDim), position)]
      const scores = keys.map((key) => c.scoreScale * query.reduce((sum, value, i) => sum + value * key[h]![i]!, 0))
      const max = Math.max(...scores)
      const weights = scores.map((score) => Math.exp(score - max))
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      return Array.from({ length: valueDim }, (_, i) => (
        weights.reduce((sum, weight, t) => sum + weight * values[t]![h]![i]!, 0) / total))
    })
    return times(`${a}.o_proj`, out)
  }
  const feedForward = (l: number, x: Vector): number[] => {
    const p = `model.layers.${l}.mlp`
    if (!c.experts?.layers[l]) return mlp(p, x)
    const { numShared, hasBias } = c.experts
    const bias = hasBias ? data(`${p}.gate.e_score_correction_bias`) : null
    let out = numShared > 0 ? mlp(`${p}.shared_experts`, x) : x.map(() => 0)
    for (const { expert, weight } of chosen(c, times(`${p}.gate`, x), bias))
      out = add(out, mlp(`${p}.experts.${expert}`, x), weight)
    return out
  }
  let stream: number[] = []
  ids.forEach((id, position) => {
    stream = [...data("model.embed_tokens.weight").subarray(id * c.hiddenSize, (id + 1) * c.hiddenSize)]
    for (let l = 0; l < c.numLayers; l++) {
      const p = `model.layers.${l}`
      stream = add(stream, attend(l, normed(`${p}.input_layernorm`, stream), position))
      stream = add(stream, feedForward(l, normed(`${p}.post_attention_layernorm`, stream)))
    }
  })
  return times("lm_head", normed("model.norm", stream))
}

function chosen(c: DeepSeekConfig, logits: Vector, bias: Float32Array | null): { expert: number; weight: number }[] {
  const { perToken, scores, isNormalized, scale, groups } = c.experts!.routing
  const max = Math.max(...logits)
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0)
  const score = (logit: number) => (scores === "softmax" ? Math.exp(logit - max) / total : 1 / (1 + Math.exp(-logit)))
  const all = logits.map((logit, expert) => ({
    expert, score: score(logit), choice: score(logit) + (bias?.[expert] ?? 0),
  }))
  const byChoice = (items: typeof all) => items.toSorted((a, b) => b.choice - a.choice)
  const { count = 1, top = 1, scores: ranking = "max" } = groups ?? {}
  const size = all.length / count
  const ranked = Array.from({ length: count }, (_, g) => byChoice(all.slice(g * size, (g + 1) * size)))
    .map((members) => ({
      members, rank: members.slice(0, ranking === "top2" ? 2 : 1).reduce((sum, { choice }) => sum + choice, 0),
    }))
    .toSorted((a, b) => b.rank - a.rank)
  const best = byChoice(ranked.slice(0, top).flatMap(({ members }) => members)).slice(0, perToken)
  const sum = isNormalized ? best.reduce((whole, each) => whole + each.score, 1e-20) : 1
  return best.map((each) => ({ expert: each.expert, weight: (scale * each.score) / sum }))
}
