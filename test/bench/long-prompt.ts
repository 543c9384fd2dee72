/**
 * How much a long prompt delays streams that run: the times between tokens of 16 streams while a prompt of 1,500 tokens
 * arrives, without and with --max-itl-ms.
 *
 *   bun test/bench/long-prompt.ts [--max-itl-ms 100]
 */
import { tmpdir } from "node:os"
import { parseArgs } from "node:util"
import { executable } from "../e2e/executable.ts"
import { defaultModel } from "../e2e/models.ts"
import { startServerProcess } from "../e2e/server-process.ts"

const NUM_STREAMS = 16
const PROMPT_TOKENS = 1500

const { values } = parseArgs({ options: { "max-itl-ms": { type: "string", default: "100" } } })
const path = executable()
const model = defaultModel()
if (path === null || model === null) process.exit(1)

function post(url: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" }
  return fetch(`${url}/v1/completions`, { method: "POST", headers, body: JSON.stringify(body) })
}

const idsFrom = (start: number, count: number) =>
  Array.from({ length: count }, (_, i) => 1000 + ((start * 131 + i * 17) % 9000))

/** When each chunk of a stream came, in milliseconds, until `signal`. */
async function stream(url: string, start: number, times: number[], abort: AbortController): Promise<void> {
  const body = { prompt: idsFrom(start, 16), max_tokens: 1500, ignore_eos: true, stream: true }
  const headers = { "content-type": "application/json" }
  const init = { method: "POST", headers, body: JSON.stringify(body), signal: abort.signal }
  try {
    const response = await fetch(`${url}/v1/completions`, init)
    for await (const _ of response.body!) times.push(performance.now())
  } catch (error) {
    if (!abort.signal.aborted) throw error
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

/** Milliseconds before each of the `times` from `start` to `end`. */
function gapsBetween(times: readonly number[], start: number, end: number): number[] {
  return times.flatMap((time, i) => (i > 0 && time > start && time <= end ? [time - times[i - 1]!] : []))
}

async function measure(flags: readonly string[]): Promise<Record<string, number>> {
  const env = { HOME: process.env["HOME"] ?? tmpdir() }
  const command = [path!, "serve", model!, "--no-enable-prefix-caching", "--shutdown-timeout", "0", ...flags]
  const server = await startServerProcess(command, { cwd: tmpdir(), env })
  try {
    // Once to warm up, and so that the server knows its own speed.
    await (await post(server.url, { prompt: idsFrom(99, 600), max_tokens: 1 })).text()
    const abort = new AbortController()
    const times: number[][] = Array.from({ length: NUM_STREAMS }, () => [])
    const streams = times.map((own, i) => stream(server.url, i, own, abort))
    while (times.some((own) => own.length < 20)) await Bun.sleep(20)
    const started = performance.now()
    const answer = await post(server.url, { prompt: idsFrom(500, PROMPT_TOKENS), max_tokens: 1 })
    await answer.text()
    // The gap that the prompt's last step makes ends behind its answer.
    const ended = performance.now() + 200
    await Bun.sleep(200)
    abort.abort()
    await Promise.all(streams)
    const gaps = times.flatMap((own) => gapsBetween(own, started, ended))
    return {
      promptMs: Math.round(ended - 200 - started), tokens: gaps.length, itlP50: Math.round(quantile(gaps, 0.5)),
      itlP99: Math.round(quantile(gaps, 0.99)), itlMax: Math.round(Math.max(...gaps)),
    }
  } finally {
    await server.stop()
  }
}

console.log("without a target", JSON.stringify(await measure(["--max-itl-ms", "0"])))
const target = values["max-itl-ms"]
console.log(`--max-itl-ms ${target}`, JSON.stringify(await measure(["--max-itl-ms", target])))
