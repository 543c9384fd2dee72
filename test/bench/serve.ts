/**
 * Measures dist/baozi as a client sees it: start to ready, prefill, one stream, many streams, resident memory.
 *
 *     bun test/bench/serve.ts [--model path] [--streams 16] [--tokens 128] [--json]
 *
 * Prompts differ from run to run and ignore_eos is set, so that neither the prefix cache nor the model's mood counts.
 * Name the machine with every figure you quote.
 */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { findDefaultModel } from "../../src/cli/default-model.ts"
import { executable } from "../e2e/executable.ts"
import { startServerProcess } from "../e2e/server-process.ts"

interface Timing {
  readonly firstTokenMs: number
  readonly lastTokenMs: number
  readonly promptTokens: number
  readonly outputTokens: number
}

const { values } = parseArgs({
  options: {
    model: { type: "string" }, streams: { type: "string", default: "16" }, tokens: { type: "string", default: "128" },
    json: { type: "boolean", default: false },
  },
})
const numStreams = Number(values.streams)
const numTokens = Number(values.tokens)

let nextSeed = Date.now() % 1_000_000
function prompt(numWords: number): string {
  const words: string[] = []
  for (let i = 0; i < numWords; i++) words.push(`${(nextSeed = (nextSeed * 48271) % 0x7fffffff) % 1000}`)
  return words.join(" ")
}

interface Chunk {
  readonly choices: readonly { readonly text: string }[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
}

async function complete(url: string, text: string, maxTokens: number): Promise<Timing> {
  const started = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: text, max_tokens: maxTokens, temperature: 0, ignore_eos: true, stream: true,
      stream_options: { include_usage: true },
    }),
  })
  if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`)
  let first = 0
  let last = 0
  let usage: Chunk["usage"] = null
  let rest = ""
  const decoder = new TextDecoder()
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true })
    const events = rest.split("\n\n")
    rest = events.pop()!
    for (const event of events) {
      if (!event.startsWith("data: {")) continue
      const chunk = JSON.parse(event.slice(6)) as Chunk
      usage = chunk.usage ?? usage
      if (chunk.choices.length === 0) continue
      last = performance.now()
      if (first === 0) first = last
    }
  }
  if (!usage) throw new Error("the stream ended without usage")
  return {
    firstTokenMs: first - started, lastTokenMs: last - started,
    promptTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens,
  }
}

function residentMib(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024)
}

const path = executable()
if (path === null) process.exit(1)
const model = values.model ?? findDefaultModel()
const env = Object.fromEntries(
  Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
)

const startedMs = performance.now()
const server = await startServerProcess([path, "serve", model], { cwd: ".", env, timeoutMs: 120_000 })
const readyMs = performance.now() - startedMs
const idleMib = residentMib(server.pid)
await complete(server.url, prompt(8), 8) // warms up

const prefill = await complete(server.url, prompt(400), 1)
const single = await complete(server.url, prompt(8), numTokens)
const many = await Promise.all(Array.from({ length: numStreams }, () => complete(server.url, prompt(8), numTokens)))
const decodeRate = (single.outputTokens - 1) / ((single.lastTokenMs - single.firstTokenMs) / 1000)
const manyTokens = many.reduce((sum, timing) => sum + timing.outputTokens, 0)
const manyRate = manyTokens / (Math.max(...many.map((timing) => timing.lastTokenMs)) / 1000)

const figures = {
  start_to_ready_ms: Math.round(readyMs),
  prefill_tokens_per_s: Math.round(prefill.promptTokens / (prefill.firstTokenMs / 1000)),
  prefill_prompt_tokens: prefill.promptTokens,
  decode_tokens_per_s: Math.round(decodeRate * 10) / 10,
  streams: numStreams,
  streams_tokens_per_s: Math.round(manyRate * 10) / 10,
  streams_over_one: Math.round((manyRate / decodeRate) * 100) / 100,
  resident_idle_mib: idleMib,
  resident_after_mib: residentMib(server.pid),
}
await server.stop()
if (values.json) process.stdout.write(`${JSON.stringify({ model, ...figures })}\n`)
else for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(24)} ${value}\n`)
