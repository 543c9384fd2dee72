/**
 * Jamba: Mamba's layers, whose steps, B and C are normed; every so many have attention without positions in their
 * place, and every so many experts in place of an MLP. Source: arXiv:2403.19887.
 */
import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import { gatedMlp } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"
import { experts, readNumExperts, softmaxRouting, type ExpertsConfig } from "../experts.ts"
import { hybridDecoder, hybridTraits, hybridWeights, type LayerKinds } from "../hybrid-decoder.ts"
import { MAX_INNER, MAX_STATE, TAPS } from "../mamba-decoder.ts"
import { mambaMemory, mambaMixer, type MambaSizes } from "../mamba-mixers.ts"

interface JambaConfig extends ModelConfig {
  readonly mamba: MambaSizes
  readonly kinds: readonly LayerKinds[]
  readonly experts: ExpertsConfig
}

/** The layers whose distance from the offset is a multiple of the period. */
function readEvery(
  reader: ConfigReader, name: string, defaults: { period: number; offset: number }, numLayers: number,
): boolean[] {
  const period = reader.int(`${name}_layer_period`, { min: 1 }, defaults.period)
  const offset = reader.int(`${name}_layer_offset`, { min: 0 }, defaults.offset)
  if (offset >= period)
    throw new ConfigError(`config.json: ${name}_layer_offset is ${offset}; ${name}_layer_period is ${period}`)
  return Array.from({ length: numLayers }, (_, l) => l % period === offset)
}

function readConfig(reader: ConfigReader): JambaConfig {
  const config = decoderConfig(reader)
  const { hiddenSize, numLayers, rmsNormEps } = config
  const attending = readEvery(reader, "attn", { period: 8, offset: 4 }, numLayers)
  const sparse = readEvery(reader, "expert", { period: 2, offset: 1 }, numLayers)
  const numExperts = readNumExperts(reader, ["num_experts"])
  const innerSize = reader.int("mamba_expand", { min: 1, max: 64 }, 2) * hiddenSize
  for (const key of ["use_mamba_kernels", "use_mambapy", "use_associative_scan"]) reader.bool(key, false)
  return {
    ...config,
    kinds: attending.map((attends) => ({ attends, keepsState: !attends })),
    experts: {
      numExperts, routing: softmaxRouting(reader, numExperts, false), size: config.intermediateSize,
      layers: sparse.map((isSparse) => isSparse && numExperts > 1),
    },
    mamba: {
      hiddenSize, innerSize, normEps: rmsNormEps,
      stateSize: reader.int("mamba_d_state", { min: 1, max: MAX_STATE }, 16),
      taps: reader.int("mamba_d_conv", TAPS, 4),
      stepRank: reader.int("mamba_dt_rank", { min: 1, max: MAX_INNER }, Math.ceil(hiddenSize / 16)),
      hasConvBias: reader.bool("mamba_conv_bias", true), hasBias: reader.bool("mamba_proj_bias", false),
    },
  }
}

export const jamba: Architecture<JambaConfig> = {
  hf: ["JambaForCausalLM"],
  modelType: "jamba",
  config: readConfig,
  traits: (c) => hybridTraits(c, c.kinds, mambaMemory(c.mamba)),
  model: (w, c) => hybridDecoder(hybridWeights(w, c, c.kinds, {
    mixer: (prefix) => mambaMixer(w, prefix, c.mamba),
    feedForward: (prefix, l) => {
      const p = `${prefix}.feed_forward`
      if (!c.experts.layers[l]) return gatedMlp(w, p, c)
      return experts(w, c, c.experts, { router: `${p}.router`, expert: (e) => `${p}.experts.${e}` })
    },
  }), c, { rotates: false }),
}
