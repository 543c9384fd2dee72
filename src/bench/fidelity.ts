/**
 * How far a model's next-token distributions are from those of a reference, over a text and over the whole vocabulary.
 * The figures are those of llama.cpp's `llama-perplexity --kl-divergence`.
 */
import { assert } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import { slidingWindows } from "./perplexity.ts"
import { formatTable } from "./report.ts"
import { mean, percentile, standardDeviation } from "./statistics.ts"

/** Pieces of whole rows [n, V] of logits that foretell each token of a window but the first, in order. */
export type LogitsOf = (tokenIds: readonly number[]) => Iterable<Float32Array>

/** One position of the text: the reference is p, what is tested is q. */
export interface Divergence {
  /** Log-probabilities of the token that comes next in the text, in nats. */
  readonly referenceLogprob: number
  readonly logprob: number
  /** KL(p || q) in nats; infinite where q rules out a token that p allows. */
  readonly kl: number
  readonly isSameTop: boolean
}

export interface FidelityFigures {
  readonly tokens: number
  /** Of the probability of the text's next token, q - p, in percentage points. */
  readonly rmsDeltaP: number
  readonly meanDeltaP: number
  readonly maxDeltaP: number
  /** In nats. */
  readonly meanKl: number
  readonly meanKlError: number
  readonly medianKl: number
  readonly p99Kl: number
  readonly p999Kl: number
  readonly maxKl: number
  /** Share, in [0, 1], of the positions at which both have the same likeliest token. */
  readonly sameTop: number
  readonly referencePerplexity: number
  readonly perplexity: number
  /** Of the perplexities, with the standard error that the paired differences give it. */
  readonly perplexityRatio: number
  readonly perplexityRatioError: number
}

/** Of two rows of logits [V], in float64. Of equal logits the first is the likeliest, as greedy sampling has it. */
export function divergenceOf(reference: Float32Array, tested: Float32Array, nextTokenId: number): Divergence {
  assert(reference.length === tested.length, () => `logits of ${reference.length} and of ${tested.length} tokens`)
  const [topP, topQ] = [indexOfMax(reference), indexOfMax(tested)]
  const [maxP, maxQ] = [reference[topP]!, tested[topQ]!]
  let [sumP, sumQ, sumDifference] = [0, 0, 0]
  for (let i = 0; i < reference.length; i++) {
    const [a, b] = [reference[i]!, tested[i]!]
    const weight = Math.exp(a - maxP)
    sumP += weight
    sumQ += Math.exp(b - maxQ)
    // A token of no probability has no part in it, whatever the other makes of it.
    if (weight > 0) sumDifference += weight * (a - b)
  }
  const [normP, normQ] = [maxP + Math.log(sumP), maxQ + Math.log(sumQ)]
  const kl = sumDifference / sumP - normP + normQ
  assert(!Number.isNaN(kl), "the logits have values that are no numbers")
  return {
    referenceLogprob: reference[nextTokenId]! - normP, logprob: tested[nextTokenId]! - normQ,
    kl: Math.max(0, kl), // Below zero by rounding alone.
    isSameTop: topP === topQ,
  }
}

function indexOfMax(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/**
 * Runs both over the same windows, in step, so that no more logits are held than a piece of each.
 * Errors: `ConfigError` for a text of less than two tokens.
 */
export function measureFidelity(
  tokenIds: readonly number[], options: { contextLen: number; stride: number; vocabSize: number },
  reference: LogitsOf, tested: LogitsOf,
): FidelityFigures {
  if (tokenIds.length < 2) throw new ConfigError(`a text of ${tokenIds.length} tokens: fidelity needs 2`)
  const { contextLen, stride, vocabSize } = options
  const divergences: Divergence[] = []
  for (const { start, end, firstScored } of slidingWindows(tokenIds.length, contextLen, stride)) {
    const window = tokenIds.slice(start, end)
    const references = rowsOf(reference(window), vocabSize)
    const tests = rowsOf(tested(window), vocabSize)
    for (let i = start + 1; i < end; i++) {
      const [p, q] = [references.next().value, tests.next().value]
      assert(p !== undefined && q !== undefined, () => `no logits for token ${i} of the window [${start}, ${end})`)
      if (i >= firstScored) divergences.push(divergenceOf(p, q, tokenIds[i]!))
    }
    // To their ends, where they put away what they have.
    assert(references.next().done === true && tests.next().done === true, "logits beyond the end of the window")
  }
  return summarizeFidelity(divergences)
}

function* rowsOf(pieces: Iterable<Float32Array>, vocabSize: number): Generator<Float32Array, undefined> {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += vocabSize) yield piece.subarray(at, at + vocabSize)
}

export function summarizeFidelity(divergences: readonly Divergence[]): FidelityFigures {
  const deltas = divergences.map((d) => 100 * (Math.exp(d.logprob) - Math.exp(d.referenceLogprob)))
  const kls = divergences.map(({ kl }) => kl)
  const lossDifferences = divergences.map((d) => d.referenceLogprob - d.logprob)
  const perplexityRatio = Math.exp(mean(lossDifferences))
  const standardError = (values: readonly number[]) => standardDeviation(values) / Math.sqrt(values.length)
  return {
    tokens: divergences.length,
    rmsDeltaP: Math.sqrt(mean(deltas.map((delta) => delta ** 2))), meanDeltaP: mean(deltas),
    maxDeltaP: Math.max(...deltas.map(Math.abs)),
    meanKl: mean(kls), meanKlError: standardError(kls), medianKl: percentile(kls, 50), p99Kl: percentile(kls, 99),
    p999Kl: percentile(kls, 99.9), maxKl: percentile(kls, 100),
    sameTop: mean(divergences.map(({ isSameTop }) => Number(isSameTop))),
    referencePerplexity: Math.exp(-mean(divergences.map(({ referenceLogprob }) => referenceLogprob))),
    perplexity: Math.exp(-mean(divergences.map(({ logprob }) => logprob))),
    perplexityRatio, perplexityRatioError: perplexityRatio * standardError(lossDifferences),
  }
}

export function describeFidelity(figures: FidelityFigures): string {
  const nats = (value: number) => (value === 0 ? "0" : value.toPrecision(4))
  const points = (value: number) => `${value.toFixed(4)} %`
  return formatTable([
    ["over the text", ""],
    ["tokens", String(figures.tokens)],
    ["change of the next token's probability, rms", points(figures.rmsDeltaP)],
    ["  mean", points(figures.meanDeltaP)],
    ["  largest", points(figures.maxDeltaP)],
    ["KL divergence, mean", `${nats(figures.meanKl)} +- ${nats(figures.meanKlError)}`],
    ["  median", nats(figures.medianKl)],
    ["  99th percentile", nats(figures.p99Kl)],
    ["  99.9th percentile", nats(figures.p999Kl)],
    ["  largest", nats(figures.maxKl)],
    ["same top token", `${(100 * figures.sameTop).toFixed(3)} %`],
    ["perplexity", figures.perplexity.toFixed(4)],
    ["  in float32", figures.referencePerplexity.toFixed(4)],
    ["  ratio", `${figures.perplexityRatio.toFixed(5)} +- ${figures.perplexityRatioError.toFixed(5)}`],
  ])
}
