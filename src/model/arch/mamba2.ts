/**
 * Mamba-2: layers of one kind, each a convolution and a scan whose heads decay at one rate, then a norm with a gate. No
 * layer keeps keys and values. Source: arXiv:2405.21060.
 */
import { ConfigError } from "../../base/errors.ts"
import { columns } from "../../tensor/device.ts"
import type { Architecture, Forward } from "../architecture.ts"
import { head, lmHead } from "../blocks.ts"
import type { ConfigReader } from "../config.ts"
import { mambaConfig, readStepLimit, type MambaConfig } from "../mamba-config.ts"
import { convWeights, gatedRmsNorm, scanWeights, StateOps, stateMemory, type Scan } from "../state-space.ts"
import type { StateMemory } from "../traits.ts"
import type { WeightMap } from "../weights.ts"

interface Mamba2Config extends MambaConfig {
  readonly scan: Scan
  readonly stepLimit: readonly [number, number]
}

function readConfig(reader: ConfigReader): Mamba2Config {
  const config = mambaConfig(reader, { tieWordEmbeddings: false })
  const numHeads = reader.int("num_heads", { min: 1, max: config.innerSize }, 128)
  const headDim = reader.int("head_dim", { min: 1, max: 4096 }, 64)
  const numGroups = reader.int("n_groups", { min: 1, max: numHeads }, 8)
  if (numHeads * headDim !== config.innerSize)
    throw new ConfigError(
      `config.json: num_heads ${numHeads} of head_dim ${headDim} are not the ${config.innerSize} channels of expand`)
  if (numHeads % numGroups !== 0)
    throw new ConfigError(`config.json: num_heads is ${numHeads}; it must be a multiple of n_groups ${numGroups}`)
  reader.expect("norm_before_gate", false)
  reader.expect("rms_norm", true)
  // Of the way in which the steps' bias was made.
  reader.optionalInt("time_step_rank", { min: 1 })
  return {
    ...config, stepLimit: readStepLimit(reader), scan: { numHeads, headDim, numGroups, stateDim: config.stateSize },
  }
}

/** Channels of the convolution: the scan's input, and B and C of each group. */
function convChannels({ innerSize, scan }: Mamba2Config): number {
  return innerSize + 2 * scan.numGroups * scan.stateDim
}

function memoryOf(c: Mamba2Config): StateMemory {
  return stateMemory({ channels: convChannels(c), taps: c.taps }, c.scan)
}

function forward(w: WeightMap, c: Mamba2Config): Forward {
  const [E, I, GN, H] = [c.hiddenSize, c.innerSize, c.scan.numGroups * c.scan.stateDim, c.scan.numHeads]
  const channels = convChannels(c)
  const embed = w.vocabulary("backbone.embeddings", c.vocabSize, E)
  const layers = Array.from({ length: c.numLayers }, (_, l) => {
    const m = `backbone.layers.${l}.mixer`
    return {
      norm: w.vector(`backbone.layers.${l}.norm.weight`, E),
      project: w.linear([[`${m}.in_proj`, I + channels + H]], E, { bias: c.hasBias }),
      conv: convWeights(w, `${m}.conv1d`, { channels, taps: c.taps, bias: c.hasConvBias }),
      scan: scanWeights(w, m, { numHeads: H, aCols: 1, dtBias: w.vector(`${m}.dt_bias`, H) }),
      gatedNorm: w.vector(`${m}.norm.weight`, I),
      out: w.linear([[`${m}.out_proj`, E]], I, { bias: c.hasBias }),
    }
  })
  const weights = { norm: w.vector("backbone.norm_f.weight", E), lmHead: lmHead(w, c, embed) }
  const memory = memoryOf(c)
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const stream = b.embedding(embed)
    layers.forEach((layer, l) => {
      const state = new StateOps(builder, b, memory, context.kv[l]!)
      const projected = b.linear(b.rmsNorm(stream, layer.norm, c.rmsNormEps), layer.project)
      // z, then x, B and C, then dt.
      const mixed = state.causalConv(columns(projected, I, channels), layer.conv)
      const y = state.selectiveScan({
        x: columns(mixed, 0, I), b: columns(mixed, I, GN), c: columns(mixed, I + GN, GN),
        dt: columns(projected, I + channels, H),
      }, c.scan, { ...layer.scan, dtLimit: c.stepLimit })
      const normed = gatedRmsNorm(b, y, columns(projected, 0, I), layer.gatedNorm, {
        eps: c.rmsNormEps, numGroups: c.scan.numGroups,
      })
      b.linear(normed, layer.out, { addTo: stream })
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}

export const mamba2: Architecture<Mamba2Config> = {
  hf: ["Mamba2ForCausalLM"],
  modelType: "mamba2",
  config: readConfig,
  traits: (c) => ({
    vocabSize: c.vocabSize, maxModelLen: c.maxModelLen,
    memory: Array.from({ length: c.numLayers }, () => memoryOf(c)),
  }),
  model: forward,
}
