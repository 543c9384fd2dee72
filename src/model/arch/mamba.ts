/**
 * Mamba: layers of one kind, each a convolution and a scan in which every channel decays at rates of its own. No layer
 * keeps keys and values. Source: arXiv:2312.00752.
 */
import { columns } from "../../tensor/device.ts"
import type { Architecture, Forward } from "../architecture.ts"
import { head, lmHead } from "../blocks.ts"
import type { ConfigReader } from "../config.ts"
import { mambaConfig, type MambaConfig } from "../mamba-config.ts"
import { convWeights, scanWeights, StateOps, stateMemory, type Scan } from "../state-space.ts"
import type { StateMemory } from "../traits.ts"
import type { WeightMap } from "../weights.ts"

interface Mamba1Config extends MambaConfig {
  /** Columns from which the steps of all channels are made. */
  readonly stepRank: number
}

function readConfig(reader: ConfigReader): Mamba1Config {
  const config = mambaConfig(reader, { tieWordEmbeddings: true })
  const stepRank = reader.int("time_step_rank", { min: 1, max: config.innerSize }, Math.ceil(config.hiddenSize / 16))
  return { ...config, stepRank }
}

/** Every channel is a head. */
function scanOf(c: Mamba1Config): Scan {
  return { numHeads: c.innerSize, headDim: 1, stateDim: c.stateSize, numGroups: 1 }
}

function memoryOf(c: Mamba1Config): StateMemory {
  return stateMemory({ channels: c.innerSize, taps: c.taps }, scanOf(c))
}

function forward(w: WeightMap, c: Mamba1Config): Forward {
  const [E, I, R, N] = [c.hiddenSize, c.innerSize, c.stepRank, c.stateSize]
  const embed = w.vocabulary("backbone.embeddings", c.vocabSize, E)
  const layers = Array.from({ length: c.numLayers }, (_, l) => {
    const m = `backbone.layers.${l}.mixer`
    return {
      norm: w.vector(`backbone.layers.${l}.norm.weight`, E),
      project: w.linear([[`${m}.in_proj`, 2 * I]], E, { bias: c.hasBias }),
      conv: convWeights(w, `${m}.conv1d`, { channels: I, taps: c.taps, bias: c.hasConvBias }),
      select: w.linear([[`${m}.x_proj`, R + 2 * N]], I, { bias: false }),
      steps: w.linear([[`${m}.dt_proj`, I]], R, { bias: true }),
      scan: scanWeights(w, m, { numHeads: I, aCols: N, dtBias: null }),
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
      const x = state.causalConv(columns(projected, 0, I), layer.conv)
      const selected = b.linear(x, layer.select)
      const dt = b.linear(columns(selected, 0, R), layer.steps)
      const y = state.selectiveScan({
        x, dt, b: columns(selected, R, N), c: columns(selected, R + N, N), z: columns(projected, I, I),
      }, scanOf(c), layer.scan)
      b.linear(y, layer.out, { addTo: stream })
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}

export const mamba: Architecture<Mamba1Config> = {
  hf: ["MambaForCausalLM"],
  modelType: "mamba",
  config: readConfig,
  traits: (c) => ({
    vocabSize: c.vocabSize, maxModelLen: c.maxModelLen,
    memory: Array.from({ length: c.numLayers }, () => memoryOf(c)),
  }),
  model: forward,
}
