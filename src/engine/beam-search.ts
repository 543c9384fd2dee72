/**
 * Beam search over an engine that only knows single tokens: each step asks, for every beam, for one token and the
 * likeliest ones, which the prefix cache makes cheap, and keeps the best of what they lead to.
 *
 * Scores are sums of log-probabilities, divided by a power of the length, prompt included, without an end-of-sequence
 * token. A beam that ends stays a candidate for the answer; the others go on until `maxTokens`. Temperature and filters
 * have no say: nothing is drawn. Source: vLLM's beam search.
 */
import type { SamplingParams } from "../core/sampling-params.ts"
import type { BeamSearch, ChoiceOutput, EngineClient, GenerateRequest, PositionLogprobs } from "./engine-client.ts"
import type { FinishedRequest } from "./finished-request.ts"
import { OutputText } from "./output-text.ts"

interface Beam {
  readonly tokenIds: readonly number[]
  /** One entry a token; an end-of-sequence token that is left out has its entry too. */
  readonly logprobs: readonly PositionLogprobs[]
  readonly sum: number
  readonly hasEnded: boolean
}

/** The figures of the search's first and last requests: its own begin with the one and end with the other. */
interface Span {
  first: FinishedRequest | null
  last: FinishedRequest | null
}

const START: Beam = { tokenIds: [], logprobs: [], sum: 0, hasEnded: false }

/**
 * The `sampling.n` best texts, best first, each as one final output; fewer where there are no more. Aborting `signal`
 * ends it with no output. Errors: those of `EngineClient.generate`.
 */
export async function* beamSearch(
  client: EngineClient, asked: GenerateRequest, search: BeamSearch, signal: AbortSignal,
): AsyncGenerator<ChoiceOutput, void, void> {
  const eosTokenId = asked.sampling.eosTokenId ?? client.model.eosTokenId
  const request = { ...asked, sampling: { ...asked.sampling, eosTokenId } }
  const { sampling, promptTokenIds } = request
  const all = new AbortController()
  const abort = (): void => all.abort()
  signal.addEventListener("abort", abort)
  const span: Span = { first: null, last: null }
  try {
    let beams = [START]
    const ended: Beam[] = []
    for (let step = 0; step < sampling.maxTokens && beams.length > 0; step++) {
      const outputs = await Promise.all(
        beams.map((beam, i) => oneToken(client, request, beam, { id: `${step}-${i}`, span, signal: all.signal })))
      if (signal.aborted) return
      const next = outputs.flatMap((output, i) => extensions(beams[i]!, output!, sampling))
      ended.push(...next.filter(({ hasEnded }) => hasEnded))
      beams = next.filter(({ hasEnded }) => !hasEnded).toSorted((a, b) => b.sum - a.sum).slice(0, sampling.n)
    }
    const score = (beam: Beam) => beam.sum / scoredLength(beam, promptTokenIds.length, sampling) ** search.lengthPenalty
    const best = [...ended, ...beams].toSorted((a, b) => score(b) - score(a)).slice(0, sampling.n)
    for (const [index, beam] of best.entries()) yield answerOf(client, request, beam, { index, span })
  } finally {
    signal.removeEventListener("abort", abort)
    all.abort()
  }
}

/** The beam's next token and its likeliest, or null: the search was aborted. */
async function oneToken(
  client: EngineClient, request: GenerateRequest, beam: Beam,
  { id, span, signal }: { id: string; span: Span; signal: AbortSignal },
): Promise<ChoiceOutput | null> {
  const onFinished = (figures: FinishedRequest): void => {
    span.first ??= figures
    span.last = figures
  }
  const own: GenerateRequest = {
    requestId: `${request.requestId}-beam-${id}`,
    promptTokenIds: [...request.promptTokenIds, ...beam.tokenIds],
    sampling: stepSampling(request.sampling),
    priority: request.priority,
    cacheSalt: request.cacheSalt,
    outputKind: "final",
    onFinished,
  }
  let last: ChoiceOutput | null = null
  for await (const output of client.generate(own, signal)) last = output
  return last
}

/** Of few allowed tokens all are looked at; else the likeliest, which hold the best of `n` beams and their ends. */
function stepSampling(sampling: SamplingParams): SamplingParams {
  const { allowedTokenIds, n } = sampling
  const isShort = allowedTokenIds !== null && allowedTokenIds.length <= MAX_CHOSEN
  return {
    ...sampling, n: 1, temperature: 0, maxTokens: 1, stop: [], stopTokenIds: [], detokenize: false,
    logprobs: isShort ? allowedTokenIds.length : 2 * n, logprobTokenIds: isShort ? allowedTokenIds : null,
  }
}

const MAX_CHOSEN = 128

function extensions(beam: Beam, output: ChoiceOutput, sampling: SamplingParams): Beam[] {
  const position = output.logprobs?.[0]
  const allowed = sampling.allowedTokenIds
  const candidates = position?.top.filter(({ tokenId }) => allowed === null || allowed.includes(tokenId)) ?? []
  return candidates.map((candidate) => {
    const hasEnded = candidate.tokenId === sampling.eosTokenId && !sampling.ignoreEos
    const isTold = !hasEnded || sampling.includeStopStrInOutput
    return {
      tokenIds: isTold ? [...beam.tokenIds, candidate.tokenId] : beam.tokenIds,
      logprobs: [...beam.logprobs, { ...candidate, top: position!.top }],
      sum: beam.sum + candidate.logprob,
      hasEnded,
    }
  })
}

function scoredLength({ tokenIds }: Beam, numPromptTokens: number, { eosTokenId }: SamplingParams): number {
  const length = numPromptTokens + tokenIds.length
  return tokenIds.at(-1) === eosTokenId ? length - 1 : length
}

function answerOf(
  client: EngineClient, request: GenerateRequest, beam: Beam, { index, span }: { index: number; span: Span },
): ChoiceOutput {
  const { sampling, promptTokenIds } = request
  const { tokenIds, hasEnded } = beam
  const text = new OutputText(client.tokenizer, { ...sampling, stop: [] }, promptTokenIds)
  text.push(tokenIds.at(-1) === sampling.eosTokenId && !sampling.ignoreEos ? tokenIds.slice(0, -1) : tokenIds, false)
  const finishReason = hasEnded ? "stop" : "length"
  const figures = figuresOf(request, { span, finishReason, numTokens: tokenIds.length })
  if (figures !== null) request.onFinished?.(figures)
  return {
    index,
    text: text.take(true),
    tokenIds,
    logprobs: sampling.logprobs === null ? null : beam.logprobs.slice(0, tokenIds.length),
    promptLogprobs: null,
    finishReason,
    stopReason: hasEnded ? sampling.eosTokenId : null,
    numOutputTokens: tokenIds.length,
    numCachedTokens: span.first?.numCachedTokens ?? 0,
    figures,
  }
}

function figuresOf(
  request: GenerateRequest,
  { span, finishReason, numTokens }: { span: Span; finishReason: "stop" | "length"; numTokens: number },
): FinishedRequest | null {
  const { first, last } = span
  if (first === null || last === null) return null
  return {
    ...first, reason: finishReason, numGenerationTokens: numTokens, maxTokens: request.sampling.maxTokens,
    finishTime: last.finishTime, lastTokenTime: last.lastTokenTime,
  }
}
