import { join } from "node:path"
import { ConfigError } from "../base/errors.ts"
import { readJsonObject } from "./load/json-file.ts"

/** Sampling values and end-of-sequence ids that a model's authors recommend. */
export interface GenerationConfig {
  /** Hugging Face's key names; only keys of `SAMPLING_KEYS`. */
  readonly defaults: Readonly<Record<string, number>>
  readonly eosTokenIds: readonly number[]
}

const SAMPLING_KEYS = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens"] as const

/**
 * `source`: "auto" takes the model's own file, "vllm" none, anything else is a directory that holds one.
 * End-of-sequence ids are the model's in each case. Overrides win. Errors: `ConfigError` naming key and value.
 */
export function readGenerationConfig(
  source: string, own: Readonly<Record<string, unknown>>, overrides: Readonly<Record<string, unknown>>,
): GenerationConfig {
  const chosen = source === "auto" ? own : source === "vllm" ? {} : readFile(source)
  const merged: Record<string, unknown> = { ...chosen, ...overrides }
  const defaults: Record<string, number> = {}
  for (const key of SAMPLING_KEYS) {
    const value = merged[key]
    if (value === undefined || value === null) continue
    if (typeof value !== "number" || !Number.isFinite(value))
      throw new ConfigError(`generation config: ${key} is ${JSON.stringify(value)}, but must be a number`)
    defaults[key] = value
  }
  return { defaults, eosTokenIds: eosIds(overrides["eos_token_id"] ?? own["eos_token_id"]) }
}

function eosIds(value: unknown): number[] {
  if (value === undefined || value === null) return []
  const ids = Array.isArray(value) ? (value as unknown[]) : [value]
  return ids.map((id) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0)
      throw new ConfigError(`generation config: eos_token_id has ${JSON.stringify(id)}, but must hold token ids`)
    return id
  })
}

function readFile(directory: string): Record<string, unknown> {
  const path = directory.endsWith(".json") ? directory : join(directory, "generation_config.json")
  const content = readJsonObject(path)
  if (content === null) throw new ConfigError(`--generation-config: ${path} does not exist`)
  return content
}
