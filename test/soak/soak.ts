/**
 * Random requests against the compiled server, with clients that leave, dawdle and come back: afterwards nothing may be
 * left of them, neither in the queues nor in the KV cache nor in memory.
 *
 *   bun test/soak/soak.ts        COUNT=10000 SEED=7 SECONDS=900
 */
import { readFileSync } from "node:fs"
import { assert } from "../../src/base/assert.ts"
import { Prng } from "../../src/base/prng.ts"
import { drawRequest } from "./random-request.ts"
import type { RandomRequest } from "./random-request.ts"

export interface SoakOptions {
  readonly url: string
  readonly pid: number
  readonly count: number
  readonly seed: number
  /** No request is begun after so long. */
  readonly seconds: number
}

export interface SoakReport {
  readonly requests: number
  readonly byStatus: Record<string, number>
  readonly seconds: number
  /** Resident memory in MiB: at the start, after each fortieth of the requests, and at the end. */
  readonly memory: readonly number[]
}

const CONCURRENCY = 24
const NUM_SAMPLES = 40
const MEGABYTE = 2 ** 20

/** Errors: whatever of the requests is left, or an answer that no request may get. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const start = performance.now()
  const prng = new Prng(options.seed)
  const byStatus: Record<string, number> = {}
  const memory = [residentMegabytes(options.pid)]
  let numBegun = 0
  let numDone = 0
  const isOver = () => numBegun >= options.count || performance.now() - start > options.seconds * 1000
  const client = async (): Promise<void> => {
    while (!isOver()) {
      numBegun += 1
      const own = new Prng(prng.uint32())
      const status = await play(options.url, drawRequest(own), own)
      byStatus[status] = (byStatus[status] ?? 0) + 1
      numDone += 1
      if (numDone % Math.ceil(options.count / NUM_SAMPLES) === 0) memory.push(residentMegabytes(options.pid))
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, client))
  await checkNothingIsLeft(options.url)
  memory.push(residentMegabytes(options.pid))
  const seconds = Math.round((performance.now() - start) / 1000)
  return { requests: numDone, byStatus, seconds, memory }
}

/** Plays one client. Returns how the answer began, or that it left. */
async function play(url: string, { path, body, behaviour }: RandomRequest, prng: Prng): Promise<string> {
  const abort = new AbortController()
  const ask = (headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: abort.signal,
    })
  if (behaviour === "leaves at once") setTimeout(() => abort.abort(), prng.int(0, 30))
  try {
    const response = await ask()
    const { status } = response
    assert(status < 500, () => `${status} for ${JSON.stringify(body)}`)
    const chunks = response.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
    const seen = await read(chunks, behaviour === "reads" ? Infinity : prng.int(1, 8), behaviour === "reads slowly")
    if (behaviour === "leaves while it reads") {
      abort.abort()
      return "left"
    }
    if (behaviour !== "comes back" || status !== 200) {
      await read(chunks, Infinity, false)
      return String(status)
    }
    await chunks.return?.()
    const lastId = [...seen.matchAll(/^id: (.*)$/gm)].at(-1)?.[1]
    if (lastId === undefined) return "left"
    const rest = await ask({ "last-event-id": lastId })
    const text = await rest.text()
    if (rest.status === 404) return "late"
    assert(rest.status === 200, () => `${rest.status} for a stream that was left a moment ago: ${text}`)
    assert(text === "" || text.endsWith("data: [DONE]\n\n"), () => `a resumed stream ends with ${text.slice(-100)}`)
    return "resumed"
  } catch (error) {
    if (abort.signal.aborted) return "left"
    throw error
  }
}

async function read(chunks: AsyncIterator<string>, numChunks: number, isSlow: boolean): Promise<string> {
  let text = ""
  for (let i = 0; i < numChunks; i++) {
    const { done, value } = await chunks.next()
    if (done === true) break
    text += value
    if (isSlow) await Bun.sleep(20)
  }
  return text
}

/** Waits until the gauges are at zero, and all blocks can be given back. */
async function checkNothingIsLeft(url: string): Promise<void> {
  const gauges = ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"]
  const deadline = performance.now() + 60_000
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text()
    const left = gauges.filter((name) => !new RegExp(`^${name}\\{[^}]*\\} 0(\\.0)?$`, "m").test(text))
    if (left.length === 0) break
    assert(performance.now() < deadline, () => `not zero: ${left.join(", ")}`)
    await Bun.sleep(100)
  }
  const load = (await (await fetch(`${url}/load`)).json()) as { server_load: number }
  assert(load.server_load === 0, () => `${load.server_load} requests are unfinished`)
  const reset = (await (await fetch(`${url}/reset_prefix_cache`, { method: "POST" })).json()) as { success: boolean }
  assert(reset.success, "blocks are held")
}

export function residentMegabytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Math.round((Number(line?.[1] ?? 0) * 1024) / MEGABYTE)
}
