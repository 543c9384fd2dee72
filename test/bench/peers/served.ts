/** An engine as a server: started, offered the works over HTTP by `baozi bench serve`, stopped. */
import type { Engine, Format, BenchModel } from "./engine.ts"

/** A figure's name to its value. Times in milliseconds, rates in output tokens a second. */
export type Figures = Record<string, number>

interface Work {
  readonly name: string
  readonly inputLen: number
  readonly outputLen: number
  readonly streams: number
  readonly numPrompts: number
}

const WORKS: readonly Work[] = [
  { name: "256 in, 64 out, 1 stream", inputLen: 256, outputLen: 64, streams: 1, numPrompts: 2 },
  { name: "256 in, 64 out, 4 streams", inputLen: 256, outputLen: 64, streams: 4, numPrompts: 8 },
  { name: "256 in, 64 out, 16 streams", inputLen: 256, outputLen: 64, streams: 16, numPrompts: 32 },
  { name: "16 in, 256 out, 16 streams", inputLen: 16, outputLen: 256, streams: 16, numPrompts: 16 },
  { name: "16 in, 256 out, 64 streams", inputLen: 16, outputLen: 256, streams: 64, numPrompts: 64 },
]
const READY_TIMEOUT_MS = 300_000

export interface ServedOptions {
  readonly executable: string
  readonly threads: number
  /** Of the works above, how many of the first; all where absent. */
  readonly numWorks: number
}

export async function servedFigures(
  engine: Engine, model: BenchModel, format: Format, o: ServedOptions,
): Promise<Figures> {
  const port = freePort()
  const url = `http://127.0.0.1:${port}`
  const started = performance.now()
  const server = Bun.spawn([...engine.serve(model, format, o.threads, port)], {
    stdin: "ignore", stdout: "ignore", stderr: "ignore", env: { ...process.env, ...engine.env },
  })
  try {
    await untilReady(url, server)
    const figures: Figures = { "start to ready, ms": performance.now() - started }
    const drive = (work: Omit<Work, "name">) => driveServer(o.executable, url, work)
    await drive({ inputLen: 16, outputLen: 8, streams: 1, numPrompts: 1 }) // warms up
    figures["TTFT idle, 256 in, ms"] =
      (await drive({ inputLen: 256, outputLen: 1, streams: 1, numPrompts: 3 }))["median_ttft_ms"]!
    for (const work of WORKS.slice(0, o.numWorks))
      figures[`${work.name}, tok/s`] = (await drive(work))["output_throughput"]!
    const running = drive({ inputLen: 16, outputLen: 160, streams: 16, numPrompts: 16 })
    await Bun.sleep(1500)
    await drive({ inputLen: 1500, outputLen: 1, streams: 1, numPrompts: 1 })
    figures["ITL p99 while a prompt of 1,500 arrives, ms"] = (await running)["p99_itl_ms"]!
    return figures
  } finally {
    server.kill()
    await server.exited
  }
}

async function driveServer(executable: string, url: string, work: Omit<Work, "name">): Promise<Figures> {
  const words = [
    executable, "bench", "serve", "--base-url", url, "--random-input-len", work.inputLen, "--random-output-len",
    work.outputLen, "--num-prompts", work.numPrompts, "--max-concurrency", work.streams, "--seed", Date.now() % 2 ** 31,
    "--extra-body", JSON.stringify({ temperature: 0 }), "--json", "-",
  ]
  const client = Bun.spawn(words.map(String), { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, complaints, code] = await Promise.all([
    new Response(client.stdout).text(), new Response(client.stderr).text(), client.exited,
  ])
  if (code !== 0) throw new Error(`bench serve against ${url}: ${complaints}`)
  const result = JSON.parse(out) as Figures
  if (result["failed"]! > 0) throw new Error(`${result["failed"]} requests to ${url} failed: ${complaints}`)
  return result
}

async function untilReady(url: string, server: Bun.Subprocess): Promise<void> {
  const end = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode} before it was ready`)
    if (performance.now() > end) throw new Error(`not ready within ${READY_TIMEOUT_MS / 1000} s`)
    try {
      if ((await fetch(`${url}/health`)).ok) return
    } catch {
      // not listening yet
    }
    await Bun.sleep(10)
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = server.port!
  server.stop(true)
  return port
}
