/** A model's perplexity over a text, by windows that slide over it. Source: Hugging Face's documentation. */
import { ConfigError } from "../base/errors.ts"
import { mean, standardDeviation } from "./statistics.ts"

export interface Window {
  /** The tokens the model sees: [start, end). */
  readonly start: number
  readonly end: number
  /** Of those, the ones that no window before has scored: [firstScored, end). */
  readonly firstScored: number
}

export interface PerplexityFigures {
  readonly tokens: number
  /** Mean negative log-likelihood a token, in nats, and its standard error. */
  readonly nll: number
  readonly nllError: number
  readonly perplexity: number
}

/** The first token of all has nothing before it and is not scored. */
export function slidingWindows(numTokens: number, contextLen: number, stride: number): Window[] {
  const windows: Window[] = []
  for (let start = 0, scored = 1; scored < numTokens; start += stride) {
    const end = Math.min(start + contextLen, numTokens)
    windows.push({ start, end, firstScored: scored })
    scored = end
  }
  return windows
}

/**
 * `score` gives the log-probability of each token but the first, given those before it. `onWindow`: progress.
 * Errors: `ConfigError` for a text of less than two tokens.
 */
export function perplexityOf(
  tokenIds: readonly number[], options: { contextLen: number; stride: number },
  score: (tokenIds: readonly number[]) => readonly number[], onWindow: (figures: PerplexityFigures) => void = () => {},
): PerplexityFigures {
  if (tokenIds.length < 2) throw new ConfigError(`a text of ${tokenIds.length} tokens: perplexity needs 2`)
  const losses: number[] = []
  for (const { start, end, firstScored } of slidingWindows(tokenIds.length, options.contextLen, options.stride)) {
    const logprobs = score(tokenIds.slice(start, end))
    for (let i = firstScored; i < end; i++) losses.push(-logprobs[i - start - 1]!)
    onWindow(figuresOf(losses))
  }
  return figuresOf(losses)
}

function figuresOf(losses: readonly number[]): PerplexityFigures {
  const nll = mean(losses)
  const nllError = standardDeviation(losses) / Math.sqrt(losses.length)
  return { tokens: losses.length, nll, nllError, perplexity: Math.exp(nll) }
}

export function describePerplexity({ tokens, nll, nllError, perplexity }: PerplexityFigures): string {
  return `tokens ${tokens}, nll ${nll.toFixed(5)} +- ${nllError.toFixed(5)}, perplexity ${perplexity.toFixed(4)}\n`
}
