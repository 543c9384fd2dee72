/** How the compiled executable behaves while it works: it stays reachable, lets go of what clients leave, and rests. */
import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
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

/** Of a window of a second. A runtime's own timers wake its threads some 20 times and take 2 ms. */
const WINDOW_MS = 1000
const MOST_WAKE_UPS = 80
const MOST_CPU_MS = 20
const MAX_WINDOWS = 150

interface Activity {
  /** Times that a thread went to sleep, each of which begins with being woken. */
  readonly wakeUps: number
  /** Processor time of all threads. */
  readonly cpuMs: number
}

/** What the threads of a process do within a window. */
async function activity(pid: number): Promise<Activity> {
  const before = threads(pid)
  await Bun.sleep(WINDOW_MS)
  const sums = { wakeUps: 0, cpuMs: 0 }
  for (const [id, now] of threads(pid)) {
    const then = before.get(id) ?? { wakeUps: 0, cpuMs: 0 }
    sums.wakeUps += now.wakeUps - then.wakeUps
    sums.cpuMs += now.cpuMs - then.cpuMs
  }
  return sums
}

/** Sums since the start of each thread, by its id. See proc(5), and sched-stats in the kernel's documentation. */
function threads(pid: number): Map<string, Activity> {
  const of = (id: string): [string, Activity][] => {
    try {
      const dir = `/proc/${pid}/task/${id}`
      const switches = /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`${dir}/status`, "utf8"))![1]
      const nanoseconds = readFileSync(`${dir}/schedstat`, "utf8").split(" ")[0]
      return [[id, { wakeUps: Number(switches), cpuMs: Number(nanoseconds) / 1e6 }]]
    } catch {
      return [] // the thread has ended
    }
  }
  return new Map(readdirSync(`/proc/${pid}/task`).flatMap(of))
}

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

  test("rests while idle", async () => {
    await until("nothing is held", idle)
    // The runtime collects garbage at times of its own, also while idle, and that is not a server which polls or spins:
    // one quiet window proves that nothing does, and something that does leaves no window quiet.
    expect(threads(server().pid).size).toBeGreaterThan(1)
    const windows: Activity[] = []
    const isQuiet = ({ wakeUps, cpuMs }: Activity) => wakeUps <= MOST_WAKE_UPS && cpuMs <= MOST_CPU_MS
    while (windows.length < MAX_WINDOWS && !windows.some(isQuiet)) windows.push(await activity(server().pid))
    expect(windows).toSatisfy((seen) => seen.some(isQuiet))
  }, 300_000)
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
