/** `baozi bench serve`: wires the load of bench/serve/ to the command line, tokenizers and result files. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { stderr } from "../../base/standard-streams.ts"
import { writeJson, writeReport } from "../../bench/report.ts"
import type { Goodput } from "../../bench/serve/metrics.ts"
import { describeServe } from "../../bench/serve/report.ts"
import { resultFileName, resultObject, type RunInfo } from "../../bench/serve/result-file.ts"
import { runServeBench } from "../../bench/serve/run.ts"
import { describeShares, measureShares } from "./bench-serve-shares.ts"
import type { BenchConfig } from "../bench-options.ts"
import { resolveModel } from "../../model/resolve.ts"
import { tokenizerOf } from "../../app/tokenizer-of.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"

/** Ids below this are often special ones. */
const FIRST_PLAIN_ID = 100

/** Requests that the runtime's client has on their way at once, unless this variable says otherwise at its start. */
const CLIENT_REQUESTS = 256
const CLIENT_REQUESTS_VARIABLE = "BUN_CONFIG_MAX_HTTP_REQUESTS"

/** Ends with 1 when no request succeeded. */
export async function benchServe(config: BenchConfig<"serve">): Promise<number> {
  const mostAtOnce = Math.min(config.maxConcurrency ?? Infinity, config.numPrompts)
  if (mostAtOnce > Number(process.env[CLIENT_REQUESTS_VARIABLE] ?? CLIENT_REQUESTS)) return again(mostAtOnce)
  const tokenizer = config.tokenizer === null ? null : await tokenizerOf(null, resolveModel(config.tokenizer))
  const isChat = config.backend === "openai-chat"
  const options = {
    ...config, api: isChat ? "chat" as const : "completions" as const,
    baseUrl: config.baseUrl?.replace(/\/$/, "") ?? `http://${config.host}:${config.port}`,
    endpoint: config.endpoint ?? (isChat ? "/v1/chat/completions" : "/v1/completions"),
    headers: headersOf(config.header), ignoreEos: config.ignoreEos || config.datasetName === "random",
    metrics: config.percentileMetrics, percentiles: config.metricPercentiles, goodput: goodputOf(config.goodput),
    tokens: plainTokens(tokenizer, config.vocabSize), codec: tokenizer === null ? null : codecOf(tokenizer),
    onNotice: (line: string) => void stderr.write(`${line}\n`),
  }
  const run = await runServeBench(options)
  const { model, outcomes, metrics } = run
  const info: RunInfo = {
    ...config, modelId: model, tokenizerId: config.tokenizer, metadata: pairsOf(config.metadata),
    isDetailed: config.saveDetailed,
  }
  const date = new Date()
  const result = resultObject(info, metrics, outcomes, date)
  const isShared = config.shareOfLimits && metrics.completed > 0
  const found = isShared ? await measureShares(run, { ...config, ...options }) : null
  const words = describeServe(metrics, options, config) + (found === null ? "" : describeShares(found))
  writeReport(words, { ...result, share_of_limits: found }, config.json)
  if (config.saveResult || config.saveDetailed) {
    const directory = config.resultDir ?? "."
    mkdirSync(directory, { recursive: true })
    writeJson(join(directory, config.resultFilename ?? resultFileName(info, date)), result)
  }
  const error = outcomes.find((outcome) => outcome.error !== null)?.error ?? null
  if (error !== null) stderr.write(`the first request that failed: ${error}\n`)
  return metrics.completed > 0 ? 0 : 1
}

/** The same command, with a client that takes so many requests: else they would wait unseen, and be timed waiting. */
function again(mostAtOnce: number): Promise<number> {
  const program = Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main]
  const env = { ...process.env, [CLIENT_REQUESTS_VARIABLE]: String(mostAtOnce) }
  return Bun.spawn([...program, ...process.argv.slice(2)], { env, stdio: ["inherit", "inherit", "inherit"] }).exited
}

function pairsOf(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => {
    const at = word.indexOf("=")
    return [word.slice(0, at), word.slice(at + 1)]
  }))
}

function headersOf(words: readonly string[]): Record<string, string> {
  const key = process.env["OPENAI_API_KEY"]
  return { ...(key ? { authorization: `Bearer ${key}` } : {}), ...pairsOf(words) }
}

function goodputOf(words: readonly string[]): Goodput | null {
  if (words.length === 0) return null
  return Object.fromEntries(words.map((word) => word.split(":")).map(([metric, ms]) => [metric, Number(ms)]))
}

function plainTokens(tokenizer: Tokenizer | null, vocabSize: number): number[] {
  const first = tokenizer === null ? Math.min(FIRST_PLAIN_ID, vocabSize >> 1) : 0
  const count = (tokenizer?.vocabSize ?? vocabSize) - first
  const ids = Array.from({ length: count }, (_, i) => first + i)
  return tokenizer === null ? ids : ids.filter((id) => !tokenizer.isSpecial(id) && tokenizer.tokenString(id) !== null)
}

function codecOf(tokenizer: Tokenizer) {
  return {
    encode: (text: string) => Promise.resolve(tokenizer.encode(text, { addSpecialTokens: false })),
    decode: (ids: readonly number[]) => Promise.resolve(tokenizer.decode(ids)),
  }
}
