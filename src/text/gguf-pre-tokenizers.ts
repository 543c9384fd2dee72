/**
 * The pre-tokenizers that GGUF files name in `tokenizer.ggml.pre`, as the patterns of the models they come from.
 * Several patterns of one name are applied one after another.
 */
import { ConfigError } from "../base/errors.ts"
import type { StepConfig } from "./tokenizer-json.ts"

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const TAIL = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
const LLAMA3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${TAIL}`
const QWEN2 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${TAIL}`
const QWEN35 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
const UPPER = "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
const LOWER = "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
const O200K = `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*${CONTRACTIONS}?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
const TEKKEN = `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+|[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
const DEEPSEEK3_WORDS = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const CJK = "[一-龥\\u3040-ゟ゠-ヿ]+"

const DIGIT_THEN_GPT2 = ["\\p{N}", GPT2]

const PATTERNS: Readonly<Record<string, readonly string[]>> = {
  "gpt-2": [GPT2],
  default: [GPT2],
  phi2: [GPT2],
  mpt: [GPT2],
  olmo: [GPT2],
  jais: [GPT2],
  smollm: DIGIT_THEN_GPT2,
  starcoder: DIGIT_THEN_GPT2,
  refact: DIGIT_THEN_GPT2,
  "command-r": DIGIT_THEN_GPT2,
  codeshell: DIGIT_THEN_GPT2,
  "llama-bpe": [LLAMA3],
  llama3: [LLAMA3],
  "llama-v3": [LLAMA3],
  "smaug-bpe": [LLAMA3],
  falcon3: [LLAMA3],
  dbrx: [LLAMA3],
  "glm4": [LLAMA3],
  "chatglm-bpe": [LLAMA3],
  qwen2: [QWEN2],
  "deepseek-r1-qwen": [QWEN2],
  stablelm2: [QWEN2],
  hunyuan: [QWEN2],
  qwen35: [QWEN35],
  "gpt-4o": [O200K],
  llama4: [O200K],
  tekken: [TEKKEN],
  "deepseek-v3": ["\\p{N}{1,3}", CJK, DEEPSEEK3_WORDS],
  "deepseek-coder": ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"],
  "deepseek-llm": ["[\\r\\n]", "\\s?\\p{L}+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-퟿]+", "\\p{N}+"],
}

/** Names whose models return a pre-token that is in the vocabulary without merging. */
const IGNORE_MERGES = new Set(["llama-bpe", "llama3", "llama-v3", "falcon3", "gpt-4o", "llama4", "tekken"])
/** Names whose models begin a text with BOS unless the file says otherwise. */
const ADD_BOS = new Set([
  "llama-bpe",
  "llama3",
  "llama-v3",
  "falcon3",
  "tekken",
  "deepseek-llm",
  "deepseek-coder",
  "deepseek-v3",
])

export interface GgufPreTokenizer {
  readonly preTokenizer: StepConfig
  readonly normalizer: StepConfig | null
  readonly ignoreMerges: boolean
  readonly addBos: boolean
}

/** Throws `ConfigError` on a name that is not known: a guess would give wrong tokens without a sign of it. */
export function ggufPreTokenizer(name: string): GgufPreTokenizer {
  const patterns = Object.hasOwn(PATTERNS, name) ? PATTERNS[name] : undefined
  if (patterns === undefined) {
    throw new ConfigError(
      `GGUF: tokenizer.ggml.pre ${JSON.stringify(name)} is not known; known are ${Object.keys(PATTERNS).join(", ")}`,
    )
  }
  const splits = patterns.map((Regex) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false }))
  return {
    preTokenizer: {
      type: "Sequence",
      pretokenizers: [...splits, { type: "ByteLevel", add_prefix_space: false, use_regex: false }],
    },
    // Qwen's tokenizers compose characters first; the others take text as it is.
    normalizer: patterns[0] === QWEN2 && name !== "stablelm2" ? { type: "NFC" } : null,
    ignoreMerges: IGNORE_MERGES.has(name),
    addBos: ADD_BOS.has(name),
  }
}
