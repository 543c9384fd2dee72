import { ConfigError } from "../../base/errors.ts"
import type { Drafter } from "./drafter.ts"
import { NgramDrafter } from "./ngram-drafter.ts"
import { SUFFIX_DEFAULTS, SuffixDrafter } from "./suffix-drafter.ts"

/** How tokens are drafted; plain data. */
export type SpeculationConfig = NgramSpeculation | SuffixSpeculation

interface Speculation {
  /** Drafted tokens of one request in one step, at most. */
  readonly numTokens: number
}

export interface NgramSpeculation extends Speculation {
  readonly method: "ngram"
  /** Tokens of a run that is looked up, at least and at most. */
  readonly minSize: number
  readonly maxSize: number
}

export interface SuffixSpeculation extends Speculation {
  readonly method: "suffix"
  readonly maxDepth: number
  readonly maxSpecFactor: number
  readonly minTokenProb: number
}

export function makeDrafter(config: SpeculationConfig): Drafter {
  if (config.method === "ngram") {
    const { minSize, maxSize } = config
    return new NgramDrafter({ minSize, maxSize, match: "earliest" })
  }
  const { maxDepth, maxSpecFactor, minTokenProb } = config
  // From a request's own text alone.
  return new SuffixDrafter({ ...SUFFIX_DEFAULTS, maxDepth, maxSpecFactor, minTokenProb, maxCachedRequests: 0 })
}

const FLAG = "--speculative-config"
const MAX_TOKENS = 64
const DEFAULT_RUN = 5

/** From `--speculative-config`, with vLLM's keys. Errors: `ConfigError` naming the key, its value and the limits. */
export function readSpeculation(values: Readonly<Record<string, unknown>>): SpeculationConfig {
  const method = values["method"]
  const read = new Set(["method"])
  const number = (
    key: string, fallback: number | null, { min, max = Infinity, isWhole = true }: NumberRange,
  ): number => {
    read.add(key)
    const value = values[key] ?? fallback
    if (value === null) throw new ConfigError(`${FLAG}: ${key} is missing`)
    const isFit = typeof value === "number" && value >= min && value <= max && (!isWhole || Number.isInteger(value))
    if (isFit) return value
    const kind = isWhole ? "a whole number" : "a number"
    const rule = max === Infinity ? `${kind} of at least ${min}` : `${kind} from ${min} to ${max}`
    throw new ConfigError(`${FLAG}: ${key} is ${JSON.stringify(value)}, but must be ${rule}`)
  }
  const tokens = { min: 1, max: MAX_TOKENS }
  let config: SpeculationConfig
  if (method === "ngram") {
    const stated = values["prompt_lookup_min"] ?? values["prompt_lookup_max"] ?? DEFAULT_RUN
    const minSize = number("prompt_lookup_min", stated as number, tokens)
    const maxSize = number("prompt_lookup_max", minSize, { min: minSize, max: MAX_TOKENS })
    config = { method, numTokens: number("num_speculative_tokens", null, tokens), minSize, maxSize }
  } else if (method === "suffix") {
    const maxDepth = number("suffix_decoding_max_tree_depth", SUFFIX_DEFAULTS.maxDepth, tokens)
    config = {
      method, maxDepth, numTokens: number("num_speculative_tokens", maxDepth, tokens),
      maxSpecFactor: number(
        "suffix_decoding_max_spec_factor", SUFFIX_DEFAULTS.maxSpecFactor, { min: 0, isWhole: false }),
      minTokenProb: number(
        "suffix_decoding_min_token_prob", SUFFIX_DEFAULTS.minTokenProb, { min: 0, max: 1, isWhole: false }),
    }
  } else {
    throw new ConfigError(`${FLAG}: method is ${JSON.stringify(method) ?? "missing"}, but must be "ngram" or "suffix"`)
  }
  const unknown = Object.keys(values).find((key) => !read.has(key))
  if (unknown === undefined) return config
  throw new ConfigError(`${FLAG}: ${unknown} is not supported with method ${method}; keys are ${[...read].join(", ")}`)
}

interface NumberRange {
  readonly min: number
  readonly max?: number
  readonly isWhole?: boolean
}
