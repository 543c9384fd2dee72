/** How the compiled executable behaves while it works: it stays reachable, lets go of what clients leave, and rests. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { defaultModel } from "./models.ts"
import { metric, post, serving, until } from "./serving.ts"

const flags = ["--served-model-name", "m", "--max-num-seqs", "2", "--shutdown-timeout", "0"]
const { skip, server } = serving(defaultModel(), flags)
const long = (tokens: number, start: number) =>
  Array.from({ length: tokens }, (_, i) => 1000 + ((start + i * 7) % 9000))

/** Sends a request on a socket of its own and hangs up when `when` says so. */
async function leave(body: unknown, when: () => Promise<void>): Promise<void> {
  const { hostname, port } = new URL(server().url)
  const text = JSON.stringify(body)
  const socket = connect(Number(port), hostname)
  socket.on("error", () => {})
  socket.write(
    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${text.length}\r\n\r\n${text}`,
  )
  await when()
  socket.destroy()
}

const running = (count: number) => async () => (await metric(server(), "vllm:num_requests_running")) === count
const waiting = (count: number) => async () => (await metric(server(), "vllm:num_requests_waiting")) === count
const idle = async () => (await running(0)()) && (await waiting(0)()) &&
  (await metric(server(), "vllm:kv_cache_usage_perc")) === 0

describe.skipIf(skip)("a server at work", () => {
  test("answers /health while a long prompt is in prefill", async () => {
    const prompt = long(4000, 0)
    let isDone = false
    const answer = post(server(), "/v1/completions", { model: "m", prompt, max_tokens: 1 }).then((response) => {
      isDone = true
      return response.status
    })
    await until("the prompt runs", running(1))
    let worst = 0
    let count = 0
    while (!isDone) {
      const started = performance.now()
      expect((await fetch(`${server().url}/health`)).status).toBe(200)
      if (!isDone) [worst, count] = [Math.max(worst, performance.now() - started), count + 1]
      await Bun.sleep(2)
    }
    console.log(
      `/health answered ${count} times during a prefill of 4,000 tokens, the slowest in ${worst.toFixed(1)} ms`,
    )
    expect(count).toBeGreaterThan(0)
    expect(await answer).toBe(200)
  }, 120_000)

  test.each([true, false])("a client that leaves frees its request (stream: %p)", async (stream) => {
    const body = { model: "m", prompt: "Count:", max_tokens: 4000, temperature: 0, ignore_eos: true, stream }
    await leave(body, () => until("it runs", running(1)))
    await until("nothing is held", idle)
  }, 120_000)

  test("a client that leaves the queue frees its place", async () => {
    const body = { model: "m", prompt: "Count:", max_tokens: 4000, temperature: 0, ignore_eos: true, stream: false }
    const gone = Promise.withResolvers<void>()
    const held = [leave(body, () => gone.promise), leave(body, () => gone.promise)]
    await until("two run", running(2))
    await leave(body, () => until("one waits", waiting(1)))
    await until("none waits", waiting(0))
    expect(await metric(server(), "vllm:num_requests_running")).toBe(2)
    gone.resolve()
    await Promise.all(held)
    await until("nothing is held", idle)
  }, 120_000)

  test("uses no processor while idle", async () => {
    await until("nothing is held", idle)
    const ticks = () => {
      const fields = readFileSync(`/proc/${server().pid}/stat`, "utf8").split(") ")[1]!.split(" ")
      return Number(fields[11]) + Number(fields[12])
    }
    await Bun.sleep(500) // lets spinning threads park
    const before = ticks()
    await Bun.sleep(2000)
    // A tick is 10 ms: 2 % of one processor is the noise of a runtime's own timers.
    expect(ticks() - before).toBeLessThanOrEqual(4)
  }, 120_000)
})

describe.skipIf(skip)("the end", () => {
  test("SIGTERM ends it with code 0, and live requests with an answer", async () => {
    const answer = post(server(), "/v1/completions", {
      model: "m",
      prompt: "Count:",
      max_tokens: 4000,
      ignore_eos: true,
    })
    await until("it runs", running(1))
    expect(await server().stop("SIGTERM")).toBe(0)
    const response = await answer
    const body = (await response.json()) as { choices?: { finish_reason: string }[] }
    expect(body.choices?.[0]?.finish_reason).toBe("abort")
  }, 120_000)
})
