/** Mamba-2: layers of one kind, whose heads decay at one rate each. Source: arXiv:2405.21060. */
import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import type { ConfigReader } from "../config.ts"
import { mambaConfig, mambaDecoder, mambaTraits, readStepLimit, type MambaConfig } from "../mamba-decoder.ts"
import { mamba2Memory, mamba2Mixer, type Mamba2Sizes } from "../mamba-mixers.ts"

type Mamba2Config = MambaConfig & Mamba2Sizes

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
    norm: { eps: config.rmsNormEps, numGroups, gateLast: false },
  }
}

export const mamba2: Architecture<Mamba2Config> = {
  hf: ["Mamba2ForCausalLM"],
  modelType: "mamba2",
  config: readConfig,
  traits: (c) => mambaTraits(c, mamba2Memory(c)),
  model: (w, c) => mambaDecoder(w, c, (prefix) => mamba2Mixer(w, prefix, c)),
}
