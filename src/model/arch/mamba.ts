/** Mamba: layers of one kind, whose channels decay at rates of their own. Source: arXiv:2312.00752. */
import type { Architecture } from "../architecture.ts"
import type { ConfigReader } from "../config.ts"
import { mambaConfig, mambaDecoder, mambaTraits, type MambaConfig } from "../mamba-decoder.ts"
import { mambaMemory, mambaMixer, type MambaSizes } from "../mamba-mixers.ts"

type Mamba1Config = MambaConfig & MambaSizes

function readConfig(reader: ConfigReader): Mamba1Config {
  const config = mambaConfig(reader, { tieWordEmbeddings: true })
  const stepRank = reader.int("time_step_rank", { min: 1, max: config.innerSize }, Math.ceil(config.hiddenSize / 16))
  return { ...config, stepRank, normEps: null }
}

export const mamba: Architecture<Mamba1Config> = {
  hf: ["MambaForCausalLM"],
  modelType: "mamba",
  config: readConfig,
  traits: (c) => mambaTraits(c, mambaMemory(c)),
  model: (w, c) => mambaDecoder(w, c, (prefix) => mambaMixer(w, prefix, c)),
}
