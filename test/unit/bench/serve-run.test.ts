import { afterEach, describe, expect, test } from "bun:test"
import { Prng } from "../../../src/base/prng.ts"
import { offerLoad } from "../../../src/bench/serve/load.ts"
import { sendRequest, type Outcome } from "../../../src/bench/serve/request.ts"
import { runServeBench, type ServeBenchOptions } from "../../../src/bench/serve/run.ts"
import { timedEvents, type TimedEvent } from "../../../src/bench/serve/sse-client.ts"
import { fitText } from "../../../src/bench/serve/text-codec.ts"

/** Reads `parts` of a body, the clock at 1, 2, 3 ... when each comes. */
async function eventsOf(...parts: (string | Uint8Array)[]): Promise<TimedEvent[]> {
  let clock = 0
  async function* body() {
    for (const part of parts) {
      clock++
      yield typeof part === "string" ? new TextEncoder().encode(part) : part
    }
  }
  return Array.fromAsync(timedEvents(body(), () => clock))
}

describe("a stream of events", () => {
  test("is timed by the bytes that end each event", async () => {
    expect(await eventsOf("data: a\n\ndata: b\n", "\ndata: c", "\n\n")).toEqual([
      { data: "a", atMs: 1 }, { data: "b", atMs: 2 }, { data: "c", atMs: 3 },
    ])
  })

  test("takes every line break, several data lines, comments, and characters cut in two", async () => {
    const bytes = new TextEncoder().encode("data: é\n\n")
    expect(await eventsOf(": ping\n\ndata:x\r", "\n\r\n", "event: e\ndata: 1\ndata: 2\n\n")).toEqual([
      { data: "x", atMs: 2 }, { data: "1\n2", atMs: 3 },
    ])
    expect(await eventsOf(bytes.slice(0, 7), bytes.slice(7))).toEqual([{ data: "é", atMs: 2 }])
  })
})

interface Fake {
  readonly url: string
  readonly bodies: Record<string, unknown>[]
  mostAtOnce: number
}

const servers: { stop: (force: boolean) => unknown }[] = []
afterEach(() => servers.splice(0).forEach((server) => server.stop(true)))

/** A server that answers every request with `chunks`, a few milliseconds apart. */
function fakeServer(chunks: readonly unknown[]): Fake {
  let running = 0
  const fake = { url: "", bodies: [] as Record<string, unknown>[], mostAtOnce: 0 }
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === "/v1/models") return Response.json({ data: [{ id: "fake" }] })
      if (pathname === "/fails") return new Response("no room", { status: 503 })
      fake.bodies.push((await request.json()) as Record<string, unknown>)
      fake.mostAtOnce = Math.max(fake.mostAtOnce, ++running)
      const lines = chunks.map((chunk) => `data: ${typeof chunk === "string" ? chunk : JSON.stringify(chunk)}\n\n`)
      return new Response(async function* () {
        for (const line of lines) {
          yield line
          await Bun.sleep(2)
        }
        running--
      }, { headers: { "content-type": "text/event-stream" } })
    },
  })
  servers.push(server)
  fake.url = server.url.origin
  return fake
}

function completion(text: string): unknown {
  return { choices: [{ text }] }
}

function send(url: string, api: "completions" | "chat" = "completions"): Promise<Outcome> {
  let clock = 0
  return sendRequest({ url, api, headers: {}, body: {}, now: () => (clock += 10) }, 5, 77)
}

describe("a request", () => {
  const USAGE = { choices: [], usage: { prompt_tokens: 6, completion_tokens: 9 } }

  test("is timed from its sending to its chunks with choices, and counted by the server's usage", async () => {
    const { url } = fakeServer([completion("a"), completion("b"), completion(""), USAGE, "[DONE]"])
    const outcome = await send(url)
    expect(outcome).toMatchObject({
      error: null, startMs: 10, queueMs: 5, promptTokens: 6, outputTokens: 9, text: "ab",
    })
    expect(outcome.itlsMs.length).toBe(2)
    expect(outcome.ttftMs).toBeGreaterThanOrEqual(10)
    expect(outcome.latencyMs).toBe(outcome.ttftMs + outcome.itlsMs[0]! + outcome.itlsMs[1]!)
  })

  test("of a server that reports no usage has a token a chunk", async () => {
    const { url } = fakeServer([completion("a"), completion("b")])
    expect(await send(url)).toMatchObject({ error: null, promptTokens: 77, outputTokens: 2 })
  })

  test("in a chat begins with the role's chunk", async () => {
    const delta = (fields: unknown) => ({ choices: [{ delta: fields }] })
    const { url } = fakeServer([delta({ role: "assistant" }), delta({ content: "x" })])
    const outcome = await send(url, "chat")
    expect(outcome).toMatchObject({ error: null, text: "x" })
    expect(outcome.itlsMs.length).toBe(1)
  })

  test("that fails says why, whatever fails", async () => {
    const { url } = fakeServer([completion("a"), { error: { message: "out of memory" } }])
    expect((await send(url)).error).toBe("out of memory")
    expect((await send(`${url}/fails`)).error).toBe("503: no room")
    expect((await send(fakeServer(["{"]).url)).error).toContain("JSON")
    expect((await send(fakeServer([]).url)).error).toBe("the stream ended without a token")
    expect((await send("http://127.0.0.1:1")).error).not.toBeNull()
  })
})

describe("a load", () => {
  test("never has more on their way than it may, in order, and times the wait for a place", async () => {
    let running = 0
    let most = 0
    const order: number[] = []
    const queues: number[] = []
    await offerLoad([0, 0, 0, 0, 0], 2, async (i, queueMs) => {
      order.push(i)
      queues.push(queueMs)
      most = Math.max(most, ++running)
      await Bun.sleep(5)
      running--
      return {} as Outcome
    })
    expect([most, order]).toEqual([2, [0, 1, 2, 3, 4]])
    expect(queues[4]).toBeGreaterThan(queues[0]!)
  })
})

describe("prompts as text", () => {
  // Three characters a token; odd ids join their neighbour, as real tokens do.
  const codec = {
    decode: (ids: readonly number[]) => Promise.resolve(ids.map((id) => (id % 2 ? "a" : "abc")).join("")),
    encode: (text: string) => Promise.resolve(Array.from({ length: Math.ceil(text.length / 3) }, () => 2)),
  }

  test("are fitted until they encode to the number of tokens asked for", async () => {
    const { text, numTokens } = await fitText([1, 1, 1, 2, 1, 1], codec, [1, 2], new Prng(1))
    expect([numTokens, Math.ceil(text.length / 3)]).toEqual([6, 6])
  })
})

describe("a run", () => {
  const OPTIONS: ServeBenchOptions = {
    baseUrl: "", endpoint: "/v1/completions", api: "completions", model: null, headers: {},
    extraBody: { temperature: 0 }, requestRate: Infinity, burstiness: 1, maxConcurrency: 3, ignoreEos: true,
    numWarmups: 1, readyCheckTimeoutSec: 1,
    seed: 1, tokens: [5, 6, 7], codec: null, onNotice: () => {}, metrics: ["ttft"], percentiles: [99], goodput: null,
    datasetName: "random", datasetPath: null, randomInputLen: 4, randomOutputLen: 2, randomRangeRatio: 0,
    randomPrefixLen: 0, prefixRepetitionPrefixLen: 1, prefixRepetitionSuffixLen: 1, prefixRepetitionNumPrefixes: 1,
    prefixRepetitionOutputLen: 1, customOutputLen: 1, numPrompts: 7,
  }

  test("asks for the model's name, sends token ids with usage, and counts what comes back", async () => {
    const fake = fakeServer([completion("a"), completion("b")])
    const { model, metrics } = await runServeBench({ ...OPTIONS, baseUrl: fake.url })
    expect(model).toBe("fake")
    expect(metrics).toMatchObject({ completed: 7, failed: 0, total_input_tokens: 28, total_output_tokens: 14 })
    expect(fake.mostAtOnce).toBeLessThanOrEqual(3)
    expect(fake.bodies.length).toBe(7 + 2) // the readiness check and a warm-up
    expect(fake.bodies[2]).toMatchObject({
      model: "fake", max_tokens: 2, stream: true, stream_options: { include_usage: true }, ignore_eos: true,
      temperature: 0,
    })
    expect(fake.bodies[2]!["prompt"]).toHaveLength(4)
  })

  test("with a tokenizer, or as chat, sends texts", async () => {
    const codec = {
      encode: (text: string) => Promise.resolve(text.split(" ").map(Number)),
      decode: (ids: readonly number[]) => Promise.resolve(ids.join(" ")),
    }
    const fake = fakeServer([{ choices: [{ delta: { content: "a" } }] }])
    await runServeBench({ ...OPTIONS, baseUrl: fake.url, api: "chat", codec, numPrompts: 1, ignoreEos: false })
    expect(fake.bodies[2]).toMatchObject({ max_completion_tokens: 2, messages: [{ role: "user" }] })
    expect(fake.bodies[2]).not.toHaveProperty("ignore_eos")
  })

  test("of a server that is not there is an error in words", async () => {
    const gone = { ...OPTIONS, baseUrl: "http://127.0.0.1:1" }
    expect(runServeBench(gone)).rejects.toThrow("http://127.0.0.1:1/v1/models: ")
    expect(runServeBench({ ...gone, model: "m" })).rejects.toThrow("no answer within 1 s (--ready-check-timeout-sec): ")
  })
})
