import type { EngineCoreOutput } from "../../../src/core/engine-core-output.ts"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"
import type { SamplingParams } from "../../../src/core/sampling-params.ts"
import type { ChoiceOutput, EngineClient, GenerateRequest } from "../../../src/engine/engine-client.ts"

export type RequestOverrides = Partial<Omit<GenerateRequest, "sampling">> & { sampling?: Partial<SamplingParams> }

export function makeRequest({ sampling, ...overrides }: RequestOverrides = {}): GenerateRequest {
  return {
    requestId: "request",
    promptTokenIds: [1, 2, 3],
    sampling: defaultSamplingParams({ maxTokens: 100, ...sampling }),
    priority: 0,
    cacheSalt: null,
    outputKind: "delta",
    ...overrides,
  }
}

/** An output of the core. */
export function coreOutput(overrides: Partial<EngineCoreOutput>): EngineCoreOutput {
  return {
    requestId: "",
    newTokenIds: [97],
    logprobs: null,
    promptLogprobs: null,
    finishReason: null,
    stopReason: null,
    events: [],
    prefillStats: null,
    draft: null,
    ...overrides,
  }
}

/** A signal nobody aborts. */
export const NEVER = new AbortController().signal

export function start(engine: EngineClient, overrides: RequestOverrides = {}, signal: AbortSignal = NEVER) {
  return engine.generate(makeRequest(overrides), signal)
}

export async function collect(outputs: AsyncIterable<ChoiceOutput>): Promise<ChoiceOutput[]> {
  const collected: ChoiceOutput[] = []
  for await (const output of outputs) collected.push(output)
  return collected
}

/** The outputs of one choice as one. */
export function joined(outputs: readonly ChoiceOutput[], index = 0) {
  const own = outputs.filter((output) => output.index === index)
  const last = own.at(-1)
  return {
    text: own.map(({ text }) => text).join(""),
    tokenIds: own.flatMap(({ tokenIds }) => tokenIds),
    logprobs: own.flatMap(({ logprobs }) => logprobs ?? []),
    finishReason: last?.finishReason ?? null,
    stopReason: last?.stopReason ?? null,
    numOutputTokens: last?.numOutputTokens ?? 0,
  }
}

/** The value of a sample of a Prometheus text, by its name and all its labels but the base ones. */
export function sampleOf(metrics: string, name: string, labels = ""): number | undefined {
  const start = `vllm:${name}{model_name="fake",engine="0"${labels === "" ? "" : `,${labels}`}} `
  const line = metrics.split("\n").find((candidate) => candidate.startsWith(start))
  return line === undefined ? undefined : Number(line.slice(start.length))
}
