/** Requests to measure with: drawn from a seed, or read from a file. Names and defaults are those of `vllm bench`. */
import { readFileSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"
import type { Prng } from "../base/prng.ts"

export interface Sample {
  /** Token ids, or the text of a file's line. */
  readonly prompt: readonly number[] | string
  readonly outputLen: number
}

export interface DatasetOptions {
  readonly datasetName: "random" | "prefix-repetition" | "custom"
  readonly datasetPath: string | null
  readonly randomInputLen: number
  readonly randomOutputLen: number
  readonly randomRangeRatio: number
  readonly randomPrefixLen: number
  readonly prefixRepetitionPrefixLen: number
  readonly prefixRepetitionSuffixLen: number
  readonly prefixRepetitionNumPrefixes: number
  readonly prefixRepetitionOutputLen: number
  readonly customOutputLen: number
  readonly numPrompts: number
}

/** `tokens` are the ids that may be drawn. Errors: `ConfigError` for a file that cannot be used. */
export function makeSamples(options: DatasetOptions, tokens: readonly number[], prng: Prng): Sample[] {
  if (options.datasetName === "custom") return customSamples(options, prng)
  return options.datasetName === "random"
    ? randomSamples(options, tokens, prng)
    : prefixSamples(options, tokens, prng)
}

export function randomTokens(count: number, tokens: readonly number[], prng: Prng): number[] {
  return Array.from({ length: count }, () => prng.pick(tokens))
}

function randomSamples(o: DatasetOptions, tokens: readonly number[], prng: Prng): Sample[] {
  const prefix = randomTokens(o.randomPrefixLen, tokens, prng)
  const near = (length: number) => {
    const least = Math.max(1, Math.ceil(length * (1 - o.randomRangeRatio)))
    return prng.int(least, Math.max(least, Math.floor(length * (1 + o.randomRangeRatio))))
  }
  return Array.from({ length: o.numPrompts }, () => ({
    prompt: [...prefix, ...randomTokens(near(o.randomInputLen), tokens, prng)], outputLen: near(o.randomOutputLen),
  }))
}

function prefixSamples(o: DatasetOptions, tokens: readonly number[], prng: Prng): Sample[] {
  const prefixes = Array.from({ length: o.prefixRepetitionNumPrefixes },
    () => randomTokens(o.prefixRepetitionPrefixLen, tokens, prng))
  const samples = Array.from({ length: o.numPrompts }, (_, i) => ({
    prompt: [...prefixes[i % prefixes.length]!, ...randomTokens(o.prefixRepetitionSuffixLen, tokens, prng)],
    outputLen: o.prefixRepetitionOutputLen,
  }))
  return shuffle(samples, prng)
}

/** Lines of {"prompt": "...", "output_tokens": 10}, in an order of the seed's; drawn again where they are too few. */
function customSamples(o: DatasetOptions, prng: Prng): Sample[] {
  if (o.datasetPath === null) throw new ConfigError("--dataset-name custom needs --dataset-path")
  const read = readLines(o.datasetPath).map(({ text, number }) => parseLine(text, `${o.datasetPath}:${number}`))
  const lines = shuffle(read, prng)
  if (lines.length === 0) throw new ConfigError(`${o.datasetPath} holds no prompts`)
  return Array.from({ length: o.numPrompts }, (_, i) => {
    const { prompt, outputLen } = i < lines.length ? lines[i]! : prng.pick(lines)
    return { prompt, outputLen: outputLen ?? o.customOutputLen }
  })
}

function readLines(path: string): { text: string; number: number }[] {
  try {
    return readFileSync(path, "utf8").split("\n").map((text, i) => ({ text, number: i + 1 }))
      .filter(({ text }) => text.trim() !== "")
  } catch (error) {
    throw new ConfigError(`--dataset-path ${path}: ${(error as Error).message}`)
  }
}

function parseLine(text: string, where: string): { prompt: string; outputLen: number | null } {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    throw new ConfigError(`${where} is no JSON`)
  }
  const { prompt, output_tokens: outputTokens } = (line ?? {}) as { prompt?: unknown; output_tokens?: unknown }
  if (typeof prompt !== "string" || prompt === "") throw new ConfigError(`${where} has no text as "prompt"`)
  if (outputTokens === undefined || outputTokens === null) return { prompt, outputLen: null }
  if (!Number.isInteger(outputTokens) || (outputTokens as number) < 1)
    throw new ConfigError(`${where}: "output_tokens" is ${JSON.stringify(outputTokens)}, but must be 1 or more`)
  return { prompt, outputLen: outputTokens as number }
}

function shuffle<T>(items: T[], prng: Prng): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = prng.int(0, i)
    const [a, b] = [items[i]!, items[j]!]
    items[i] = b
    items[j] = a
  }
  return items
}
