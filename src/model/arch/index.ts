import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import { bamba } from "./bamba.ts"
import { deepseekV2 } from "./deepseek-v2.ts"
import { deepseekV3 } from "./deepseek-v3.ts"
import { falconH1 } from "./falcon-h1.ts"
import { gemma2 } from "./gemma2.ts"
import { jamba } from "./jamba.ts"
import { llama } from "./llama.ts"
import { mamba } from "./mamba.ts"
import { mamba2 } from "./mamba2.ts"
import { mistral } from "./mistral.ts"
import { mixtral } from "./mixtral.ts"
import { olmoe } from "./olmoe.ts"
import { phi3 } from "./phi3.ts"
import { qwen2 } from "./qwen2.ts"
import { qwen2Moe } from "./qwen2-moe.ts"
import { qwen3Moe } from "./qwen3-moe.ts"
import { qwen3 } from "./qwen3.ts"
import { smollm3 } from "./smollm3.ts"

/** Every architecture this executable knows: one line each. */
export const ARCHITECTURES: readonly Architecture<unknown>[] = [
  llama, mistral, qwen2, qwen3, gemma2, phi3, smollm3, mixtral, qwen2Moe, qwen3Moe, olmoe, deepseekV2,
  deepseekV3, mamba, mamba2, jamba, bamba, falconH1,
]

/**
 * By config.json's `architectures`, or by its `model_type` where it has none, as files of quantizers and adapters do.
 * Errors: `ConfigError` naming the architectures there are.
 */
export function findArchitecture(config: Readonly<Record<string, unknown>>): Architecture<unknown> {
  const names = architectureNames(config)
  const modelType = config["model_type"]
  const found = names.length > 0
    ? ARCHITECTURES.find((arch) => names.some((name) => arch.hf.includes(name)))
    : ARCHITECTURES.find((arch) => arch.modelType === modelType)
  if (found !== undefined) return found
  const known = ARCHITECTURES.map((arch) => arch.hf[0]).join(", ")
  const stated = names.length > 0
    ? `names the architecture ${names.join(", ")}`
    : typeof modelType === "string"
      ? `names no architecture, and its model_type is "${modelType.slice(0, 80)}"`
      : "names neither an architecture nor a model_type"
  throw new ConfigError(`config.json ${stated}; supported: ${known}`)
}

function architectureNames(config: Readonly<Record<string, unknown>>): readonly string[] {
  const names = config["architectures"] ?? []
  if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names as string[]
  const shown = JSON.stringify(names).slice(0, 80)
  throw new ConfigError(`config.json: architectures is ${shown}; it must be a list of strings`)
}
