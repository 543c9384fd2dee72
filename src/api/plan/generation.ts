/** Runs a request's prompts through the engine together, and ends them together when the client goes away. */
import type { SamplingParams } from "../../core/sampling-params.ts"
import type { BeamSearch, ChoiceOutput, EngineClient, GenerateRequest } from "../../engine/engine-client.ts"
import type { FinishedRequest } from "../../engine/finished-request.ts"
import { RequestError } from "../../base/errors.ts"
import { ClientGoneError } from "../http/errors.ts"
import { FlatMap } from "../http/flat-map.ts"
import { mergeSources } from "../http/merge.ts"
import type { Prompt } from "./prompt.ts"
import { engineRequestId } from "../http/request-id.ts"

export interface PromptRun {
  readonly prompt: Prompt
  readonly sampling: SamplingParams
  readonly beamSearch?: BeamSearch | null
}

export interface Generation {
  readonly id: string
  readonly runs: readonly PromptRun[]
  readonly priority: number
  readonly cacheSalt: string | null
  /** Whose request it is, for the limits of each. */
  readonly owner: string
  /** Hears of each choice's end, in whatever way. */
  readonly onFinished: (promptIdx: number, figures: FinishedRequest) => void
  /** Hears of every output. */
  readonly onOutput: (promptIdx: number, output: ChoiceOutput) => void
}

export interface RunOutput {
  /** Index into `runs`. */
  readonly promptIdx: number
  readonly output: ChoiceOutput
}

/** Aborted when the client closes its connection, or by hand. */
export function abortWith(request: Request): AbortController {
  const abort = new AbortController()
  if (request.signal.aborted) abort.abort()
  else request.signal.addEventListener("abort", () => abort.abort(), { once: true })
  return abort
}

/** Errors: `ClientGoneError` where nobody waits for the answer: what is left to prepare for it is left. */
export function refuseGone(request: Request): void {
  if (request.signal.aborted) throw new ClientGoneError("the client closed its connection")
}

/**
 * Outputs of every choice of every prompt. Aborting `signal`, an error, or leaving the loop ends all of them. The
 * caller has to read it or end it.
 *
 * Errors: `RequestError`, `EngineDeadError`; a choice that failed inside the engine ends the whole request with a 500.
 */
export function generateAll(
  client: EngineClient,
  generation: Generation,
  outputKind: "delta" | "final",
  signal: AbortSignal,
): AsyncGenerator<RunOutput, void, void> {
  const all = new AbortController()
  const abort = (): void => all.abort()
  const ended = (): void => {
    signal.removeEventListener("abort", abort)
    // A source of `mergeSources` that waits for the engine does not see `return()`; the signal reaches it.
    abort()
  }
  if (signal.aborted) abort()
  signal.addEventListener("abort", abort)
  const sources = generation.runs.map((run, promptIdx) => {
    const source = client.generate(engineRequest(generation, run, promptIdx, outputKind), all.signal)
    return { source, each: (output: ChoiceOutput) => [runOutput(generation, promptIdx, output)] }
  })
  if (sources.length === 1) return new FlatMap(sources[0]!.source, { each: sources[0]!.each, ended })
  const merged = mergeSources(sources.map(({ source, each }) => new FlatMap(source, { each })))
  return new FlatMap(merged, { each: (output) => [output], ended })
}

function runOutput(generation: Generation, promptIdx: number, output: ChoiceOutput): RunOutput {
  if (output.finishReason !== "error") {
    generation.onOutput(promptIdx, output)
    return { promptIdx, output }
  }
  throw new RequestError(
    "The engine failed while it generated this answer.", { status: 500, type: "InternalServerError" },
  )
}

function engineRequest(
  generation: Generation, run: PromptRun, promptIdx: number, outputKind: "delta" | "final",
): GenerateRequest {
  return {
    requestId: engineRequestId(generation.id, promptIdx),
    promptTokenIds: run.prompt.tokenIds,
    sampling: run.sampling,
    priority: generation.priority,
    cacheSalt: generation.cacheSalt,
    owner: generation.owner,
    outputKind,
    beamSearch: run.beamSearch ?? null,
    onFinished: (figures: FinishedRequest) => generation.onFinished(promptIdx, figures),
  }
}

/**
 * The final output of every choice, `[promptIdx][choice index]`.
 *
 * Errors: those of `generateAll`, and `ClientGoneError` when the client went away first.
 */
export async function collectAll(
  client: EngineClient, generation: Generation, signal: AbortSignal,
): Promise<ChoiceOutput[][]> {
  const outputs: ChoiceOutput[][] = generation.runs.map(() => [])
  let numFinished = 0
  for await (const { promptIdx, output } of generateAll(client, generation, "final", signal)) {
    outputs[promptIdx]![output.index] = output
    if (output.finishReason !== null) numFinished++
  }
  const numChoices = generation.runs.reduce((sum, run) => sum + run.sampling.n, 0)
  // A beam search may find fewer texts than it was asked for.
  if (signal.aborted && numFinished < numChoices) throw new ClientGoneError("the client closed its connection")
  return outputs
}
