/** `vllm bench serve` against any server with OpenAI's API: offers a load, watches the streams, counts. */
import { ConfigError } from "../../base/errors.ts"
import { Prng } from "../../base/prng.ts"
import { makeSamples, type DatasetOptions, type Sample } from "../datasets.ts"
import { arrivalTimes } from "./arrivals.ts"
import { offerLoad } from "./load.ts"
import { serveMetrics, type MetricOptions, type ServeMetrics } from "./metrics.ts"
import { sendRequest, type Api, type Outcome } from "./request.ts"
import { fitText, serverCodec, type TextCodec } from "./text-codec.ts"

export interface ServeBenchOptions extends DatasetOptions, MetricOptions {
  readonly baseUrl: string
  /** Path of the endpoint. */
  readonly endpoint: string
  readonly api: Api
  /** Null: the first that the server names. */
  readonly model: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly extraBody: Readonly<Record<string, unknown>>
  readonly requestRate: number
  readonly burstiness: number
  readonly maxConcurrency: number | null
  readonly ignoreEos: boolean
  readonly numWarmups: number
  readonly readyCheckTimeoutSec: number
  readonly seed: number
  /** Token ids that prompts are drawn from. */
  readonly tokens: readonly number[]
  /** Null: prompts go out as token ids, or fitted by the server's own tokenizer where the API takes texts only. */
  readonly codec: TextCodec | null
  readonly onNotice: (line: string) => void
}

export interface ServeBenchResult {
  readonly model: string
  readonly outcomes: readonly Outcome[]
  readonly metrics: ServeMetrics
}

interface Prepared {
  readonly prompt: string | readonly number[]
  readonly promptTokens: number
  readonly outputLen: number
}

/** Errors: `ConfigError` when the server does not answer, or fails the first request. */
export async function runServeBench(o: ServeBenchOptions): Promise<ServeBenchResult> {
  const prng = new Prng(o.seed)
  const model = o.model ?? (await firstModel(o))
  const requests = await prepare(o, model, makeSamples(o, o.tokens, prng), prng)
  const send = (request: Prepared, queueMs: number) => sendRequest({
    url: o.baseUrl + o.endpoint, api: o.api, headers: o.headers, body: bodyOf(o, model, request),
    now: () => performance.now(),
  }, queueMs, request.promptTokens)
  if (o.readyCheckTimeoutSec > 0) await waitUntilReady(o, () => send(requests[0]!, 0))
  const warmups = Array<number>(o.numWarmups).fill(0)
  await offerLoad(warmups, o.maxConcurrency, (i) => send(requests[i % requests.length]!, 0))
  o.onNotice(`${requests.length} requests to ${o.baseUrl}${o.endpoint}`)
  const times = arrivalTimes(requests.length, o, prng)
  const started = performance.now()
  const outcomes = await offerLoad(times, o.maxConcurrency, (i, queueMs) => send(requests[i]!, queueMs))
  return { model, outcomes, metrics: serveMetrics(outcomes, (performance.now() - started) / 1000, o) }
}

async function firstModel(o: ServeBenchOptions): Promise<string> {
  let id: unknown
  try {
    const answer = (await (await fetch(`${o.baseUrl}/v1/models`, { headers: o.headers })).json()) as {
      data?: { id?: unknown }[]
    }
    id = answer.data?.[0]?.id
  } catch (error) {
    throw new ConfigError(`${o.baseUrl}/v1/models: ${(error as Error).message}`)
  }
  if (typeof id !== "string") throw new ConfigError(`${o.baseUrl}/v1/models names no model; give --model`)
  return id
}

/** Prompts as they are sent. Ids become texts where there is a tokenizer, or the API takes nothing else. */
async function prepare(
  o: ServeBenchOptions, model: string, samples: readonly Sample[], prng: Prng,
): Promise<Prepared[]> {
  const needsCodec = o.api === "chat" && o.datasetName !== "custom"
  const codec = o.codec ?? (needsCodec ? await serverCodec(o.baseUrl, model, o.headers) : null)
  const prepared: Prepared[] = []
  for (const { prompt, outputLen } of samples) {
    if (typeof prompt === "string")
      prepared.push({ prompt, promptTokens: codec === null ? 0 : (await codec.encode(prompt)).length, outputLen })
    else if (codec === null) prepared.push({ prompt, promptTokens: prompt.length, outputLen })
    else {
      const { text, numTokens } = await fitText(prompt, codec, o.tokens, prng)
      prepared.push({ prompt: text, promptTokens: numTokens, outputLen })
    }
  }
  return prepared
}

function bodyOf(o: ServeBenchOptions, model: string, { prompt, outputLen }: Prepared): Record<string, unknown> {
  const work = o.api === "completions"
    ? { prompt, max_tokens: outputLen }
    : { messages: [{ role: "user", content: prompt }], max_completion_tokens: outputLen }
  const stream = { stream: true, stream_options: { include_usage: true } }
  return { model, ...work, ...stream, ...(o.ignoreEos ? { ignore_eos: true } : {}), ...o.extraBody }
}

async function waitUntilReady(o: ServeBenchOptions, send: () => Promise<Outcome>): Promise<void> {
  const end = performance.now() + o.readyCheckTimeoutSec * 1000
  for (;;) {
    const { error } = await send()
    if (error === null) return
    if (performance.now() > end)
      throw new ConfigError(`no answer within ${o.readyCheckTimeoutSec} s (--ready-check-timeout-sec): ${error}`)
    await Bun.sleep(200)
  }
}
