import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess } from "./server-process.ts"
import { until } from "./serving.ts"

const built = executable()
const model = defaultModel()
/** Of the engine in each of these processes: small and quick to start. */
const SMALL = ["--max-model-len", "1024", "--kv-cache-memory-bytes", "256M"]

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "baozi-local-"))
})
afterAll(() => rmSync(dir, { recursive: true }))

/** A new control group of either version, with half a processor's time; null where that is not allowed. */
function halfAProcessor(): string | null {
  const versions = [
    { root: "/sys/fs/cgroup/cpu", files: { "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000" } },
    { root: "/sys/fs/cgroup", files: { "cpu.max": "50000 100000" } },
  ]
  for (const { root, files } of versions) {
    const group = join(root, `baozi-test-${process.pid}`)
    try {
      mkdirSync(group)
    } catch {
      continue
    }
    try {
      for (const [name, value] of Object.entries(files)) writeFileSync(join(group, name), value, { flag: "r+" })
      return group
    } catch {
      rmdirSync(group)
    }
  }
  return null
}

function spawn(words: string[], stdin: string | null = null, env: Record<string, string> = {}) {
  return Bun.spawn([built!, ...words], {
    cwd: dir, env: { XDG_CACHE_HOME: dir, ...env }, stdin: stdin === null ? "ignore" : new Blob([stdin]),
    stdout: "pipe", stderr: "pipe",
  })
}

async function run(words: string[], stdin: string | null = null, env: Record<string, string> = {}) {
  const child = spawn(words, stdin, env)
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  return { code: await child.exited, stdout, stderr }
}

describe.skipIf(built === null || model === null)("chat and complete", () => {
  const FRANCE = "What is the capital of France?"

  test("answer what is piped in, with a model of their own", async () => {
    const chat = await run(["chat", model!, "--temperature", "0", "--max-tokens", "16", ...SMALL], `${FRANCE}\n`)
    expect(chat).toMatchObject({ code: 0, stderr: "" })
    expect(chat.stdout).toContain("Paris")
    const words = ["complete", model!, "--quick", "The capital of France is", "--temperature", "0", "--max-tokens", "4"]
    const complete = await run([...words, "--stats", ...SMALL])
    expect(complete.code).toBe(0)
    expect(complete.stdout).toContain("Paris")
    expect(complete.stderr).toMatch(/^5 prompt tokens, 4 tokens, .*, length\n$/)
  }, 180_000)

  test("ask a server, with its key, and say what it refuses", async () => {
    const flags = ["--api-key", "secret", "--served-model-name", "served", ...SMALL]
    const env = { XDG_CACHE_HOME: dir }
    const server = await startServerProcess([built!, "serve", model!, ...flags], { cwd: dir, env })
    const ask = (...words: string[]) => run(["chat", "--url", server.url, "-q", FRANCE, "--temperature", "0", ...words])
    const answered = await ask("--api-key", "secret", "--max-tokens", "16")
    expect(answered).toMatchObject({ code: 0, stderr: "" })
    expect(answered.stdout).toContain("Paris")
    expect(await ask()).toMatchObject({ code: 1, stderr: "error: Unauthorized (status 401)\n" })
    const refused = await ask("--api-key", "secret", "--top-p", "7")
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/^error: .*top_p.*\(status 400\)\n$/)
    await server.stop()
    expect((await ask()).stderr).toMatch(/^error: cannot reach http:\/\/127\.0\.0\.1:\d+\/v1/)
  }, 180_000)

  test("say what is wrong with their words", async () => {
    expect((await run(["chat", model!, "--url", "http://127.0.0.1:1"], "x")).stderr).toContain("give one of them")
    expect((await run(["chat", "--url", "nowhere"], "x")).stderr).toContain('--url is "nowhere", but must be one')
    expect((await run(["chat", model!, "--temperature", "hot"], "x")).stderr).toContain('temperature cannot be "hot"')
    expect((await run(["complete", model!], "")).stderr).toContain("there is nothing to answer")
  }, 180_000)
})

describe.skipIf(built === null || model === null)("run-batch", () => {
  const NUM_LINES = 16
  const ask = (i: number) => ({
    custom_id: `r${i}`, method: "POST", url: i % 2 === 0 ? "/v1/chat/completions" : "/v1/completions",
    body: {
      ...(i % 2 === 0 ? { messages: [{ role: "user", content: `Say ${i}` }] } : { prompt: `Count from ${i}:` }),
      max_tokens: 8, temperature: 0, ignore_eos: true,
    },
  })
  const words = (output: string) =>
    ["run-batch", model!, "-i", join(dir, "in.jsonl"), "-o", join(dir, output), "--concurrency", "4", ...SMALL]
  const linesOf = (output: string): any[] => {
    const text = readFileSync(join(dir, output), "utf8")
    const whole = text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter((line) => line !== "")
    return whole.map((line) => JSON.parse(line))
  }
  const answers = (output: string) =>
    Object.fromEntries(linesOf(output).map(({ custom_id, response }) => [custom_id, response?.body.choices?.[0]]))

  test("killed in the middle and started again has every answer once, the same as in one go", async () => {
    const requests = Array.from({ length: NUM_LINES }, (_, i) => JSON.stringify(ask(i)))
    writeFileSync(join(dir, "in.jsonl"), `${requests.join("\n")}\n`)
    const child = spawn(words("out.jsonl"))
    const size = () => Bun.file(join(dir, "out.jsonl")).size
    await until("a few results", async () => size() > 1000)
    child.kill("SIGKILL")
    await child.exited
    const before = linesOf("out.jsonl").length
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(NUM_LINES)

    const again = await run(words("out.jsonl"))
    expect(again.code).toBe(0)
    expect(again.stderr).toContain(`${NUM_LINES} of ${NUM_LINES} done, ${before} before`)
    expect(linesOf("out.jsonl")).toHaveLength(NUM_LINES)
    expect(linesOf("out.jsonl").filter(({ response }) => response?.status_code !== 200)).toEqual([])

    expect((await run(words("whole.jsonl"))).code).toBe(0)
    expect(answers("out.jsonl")).toEqual(answers("whole.jsonl"))
  }, 300_000)

  test("stopped by SIGINT says how to go on; refusals are results", async () => {
    writeFileSync(join(dir, "in.jsonl"), [
      { custom_id: "bad", url: "/v1/completions", body: { prompt: "x", temperature: 9 } },
      { custom_id: "nowhere", url: "/v1/nothing", body: {} },
      { custom_id: "tokens", url: "/tokenize", body: { prompt: "hello" } },
      { custom_id: "long", url: "/v1/completions", body: { prompt: "x", max_tokens: 1000, ignore_eos: true, n: 8 } },
    ].map((line) => JSON.stringify(line)).join("\n"))
    const child = spawn(words("stopped.jsonl"))
    await until("the short ones", async () =>
      (await Bun.file(join(dir, "stopped.jsonl")).exists()) && linesOf("stopped.jsonl").length === 3)
    child.kill("SIGINT")
    expect(await child.exited).toBe(130)
    expect(await child.stderr.text()).toContain("goes on from here")
    const codes = Object.fromEntries(
      linesOf("stopped.jsonl").map(({ custom_id, response }) => [custom_id, response.status_code]))
    expect(codes).toEqual({ bad: 400, nowhere: 404, tokens: 200 })
  }, 180_000)
})

describe.skipIf(built === null)("doctor", () => {
  test("tells what it finds, as text and as data", async () => {
    const text = await run(["doctor"])
    expect(text).toMatchObject({ code: 0, stderr: "" })
    for (const title of ["Processor", "Backends", "Memory", "Limits", "Directories", "Problems"])
      expect(text.stdout).toContain(`\n${title}\n`)
    const { code, stdout } = await run(["doctor", "--json"])
    expect(code).toBe(0)
    const found = JSON.parse(stdout)
    expect(found.backends).toContainEqual(expect.objectContaining({ name: "cpu", isUsable: true }))
    expect(found.levels).toContainEqual({ name: found.level, isUsable: true, reason: null })
    expect(found.system.glibc).toMatch(/^2\.\d+$/)
    expect(found.memory.totalBytes).toBeGreaterThan(2 ** 28)
  }, 90_000)

  test("knows the processor time that the control group grants, and the threads that serve computes with", async () => {
    const group = halfAProcessor()
    if (group === null) return console.log("SKIPPED: no control group can be made here")
    try {
      const words = ["sh", "-c", `echo $$ > ${group}/cgroup.procs && exec "$@"`, "sh", built!, "doctor", "--json"]
      const child = Bun.spawnSync(words, { cwd: dir, env: { XDG_CACHE_HOME: dir } })
      const { processor, threads, problems } = JSON.parse(child.stdout.toString())
      expect({ quota: processor.quota, threads }).toEqual({ quota: 0.5, threads: 1 })
      const told = expect.stringMatching(/^the control group grants 0\.5 of \d+ .*; serve computes with 1 thread$/)
      if (processor.usable > 0.5) expect(problems).toContainEqual(expect.objectContaining({ message: told }))
    } finally {
      rmdirSync(group)
    }
  }, 90_000)

  test("fails where nothing could be served, and says why", async () => {
    const { code, stdout } = await run(["doctor", "--lib-dir", "/proc/nowhere"])
    expect(code).toBe(1)
    expect(stdout).toMatch(/cpu +no: no directory to put the kernel libraries in/)
    expect((await run(["doctor", "--isa", "sse9"])).stdout).toMatch(/cpu +no: .*unknown isa "sse9"/)
  }, 90_000)
})
