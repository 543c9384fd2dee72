/** An engine as a server: started, offered the rows' loads over HTTP, stopped. */
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Prng } from "../../../src/base/prng.ts"
import { randomTokens } from "../../../src/bench/datasets.ts"
import { sendRequest, type Outcome } from "../../../src/bench/serve/request.ts"
import { percentile } from "../../../src/bench/statistics.ts"
import type { ServerCommand } from "./engine.ts"
import { loadOf, LONG_PROMPT, type Load, type Row } from "./rows.ts"

const READY_TIMEOUT_MS = 600_000
const [FIRST_ID, NUM_IDS] = [100, 29_900]

export interface ServedOptions {
  readonly executable: string
  readonly port: number
  readonly rows: readonly Row[]
  readonly longAnswer: number
  /** Each figure as it comes, or why there is none. */
  readonly note: (row: Row, value: number | Error) => void
}

/** A row that fails is noted as such, and the others go on as long as the server lives. */
export async function measureServed(command: ServerCommand, o: ServedOptions): Promise<void> {
  const { words, env, healthPath = "/health", model = null } = command
  const server = { url: `http://127.0.0.1:${o.port}`, model }
  const log = join(tmpdir(), `bench-peer-${o.port}.log`)
  const started = performance.now()
  const child = Bun.spawn([...words], {
    stdin: "ignore", stdout: Bun.file(log), stderr: Bun.file(log), env: { ...process.env, ...env },
  })
  try {
    await untilReady(server.url + healthPath, child)
    if (o.rows.includes("start")) o.note("start", performance.now() - started)
    await driveServer(o.executable, server, { inputLen: 16, outputLen: 8, streams: 1, numPrompts: 1 }) // warms up
    for (const row of o.rows.filter((one) => one !== "start"))
      o.note(row, await measureRow(row, server, o).catch((error: Error) => error))
  } catch (error) {
    const last = (await Bun.file(log).text()).trim().slice(-300)
    o.note("start", new Error(`${(error as Error).message}; its last words: ${last}`))
  } finally {
    child.kill()
    await child.exited
    await Bun.file(log).delete()
  }
}

/** `model`: what requests call it; null: the first that it names. */
interface Server {
  readonly url: string
  readonly model: string | null
}

async function measureRow(row: Row, server: Server, { executable, longAnswer }: ServedOptions): Promise<number> {
  if (row === "itl") return await itlWhilePromptArrives(server)
  const load = loadOf(row, longAnswer)
  if (load !== null) return (await driveServer(executable, server, load))["output_throughput"]!
  const idle = { inputLen: 256, outputLen: 1, streams: 1, numPrompts: 3 }
  return (await driveServer(executable, server, idle))["median_ttft_ms"]!
}

async function driveServer(
  executable: string, { url, model }: Server, load: Load,
): Promise<Record<string, number>> {
  const words = [
    executable, "bench", "serve", "--base-url", url, ...(model === null ? [] : ["--model", model]),
    "--random-input-len", load.inputLen, "--random-output-len", load.outputLen, "--num-prompts", load.numPrompts,
    "--max-concurrency", load.streams, "--seed", Date.now() % 2 ** 31,
    "--extra-body", JSON.stringify({ temperature: 0 }), "--no-share-of-limits", "--json", "-",
  ]
  const client = Bun.spawn(words.map(String), { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, complaints, code] = await Promise.all([
    new Response(client.stdout).text(), new Response(client.stderr).text(), client.exited,
  ])
  const said = complaints.trim().split("\n").at(-1)
  if (code !== 0) throw new Error(`bench serve ended with ${code}: ${said}`)
  const result = JSON.parse(out) as Record<string, number>
  if (result["failed"]! > 0) throw new Error(`${result["failed"]} of ${load.numPrompts} requests failed: ${said}`)
  return result
}

/** Of the times between tokens of 16 streams that touch the time from the long prompt's arrival to its first token. */
async function itlWhilePromptArrives({ url, model: given }: Server): Promise<number> {
  const model = given ?? (await firstModel(url))
  const prng = new Prng(Date.now() % 2 ** 31)
  const ids = Array.from({ length: NUM_IDS }, (_, i) => FIRST_ID + i)
  const send = (inputLen: number, outputLen: number) => sendRequest({
    url: `${url}/v1/completions`, api: "completions", headers: {}, now: () => performance.now(),
    body: {
      model, prompt: randomTokens(inputLen, ids, prng), max_tokens: outputLen, ignore_eos: true,
      temperature: 0, stream: true,
    },
  }, 0, inputLen)
  const running = Promise.all(Array.from({ length: 16 }, () => send(16, 160)))
  await Bun.sleep(2000)
  const long = await send(LONG_PROMPT, 1)
  const streams = await running
  const failed = [long, ...streams].find(({ error }) => error !== null)
  if (failed !== undefined) throw new Error(failed.error!)
  const gaps = streams.flatMap((stream) => gapsDuring(stream, long.startMs, long.startMs + long.ttftMs))
  if (gaps.length === 0) throw new Error("the streams had ended before the prompt arrived")
  return percentile(gaps, 99)
}

async function firstModel(url: string): Promise<string> {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: [{ id: string }] }
  return data[0].id
}

/** The milliseconds between two tokens of a stream, where that time overlaps [fromMs, toMs]. */
export function gapsDuring({ startMs, ttftMs, itlsMs }: Outcome, fromMs: number, toMs: number): number[] {
  let last = startMs + ttftMs
  return itlsMs.filter((gap) => {
    const before = last
    last += gap
    return last > fromMs && before < toMs
  })
}

async function untilReady(healthUrl: string, server: Bun.Subprocess): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const end = server.exitCode ?? server.signalCode
    if (end !== null) throw new Error(`the server ended with ${end} before it was ready`)
    if (performance.now() > deadline) throw new Error(`not ready within ${READY_TIMEOUT_MS / 1000} s`)
    try {
      if ((await fetch(healthUrl, { signal: AbortSignal.timeout(2000) })).ok) return
    } catch {
      // Not listening yet, or listening long before it answers.
    }
    await Bun.sleep(10)
  }
}

export function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = server.port!
  server.stop(true)
  return port
}
