/** Readers of the executable's output that stall, or go away: neither holds it up, nor ends it with a stack. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { executable } from "./executable.ts"
import { post, until } from "./serving.ts"

const built = executable()
const tiny = fixture("models/llama")

let dir = ""
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "baozi-streams-"))))
afterAll(() => rmSync(dir, { recursive: true }))
const env = () => ({ HOME: dir })

/** A pipe that is read only when the test reads it. */
class SlowPipe {
  readonly path: string
  readonly #fd: number
  text = ""

  constructor(name: string) {
    this.path = join(dir, name)
    expect(Bun.spawnSync(["mkfifo", this.path]).exitCode).toBe(0)
    this.#fd = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK)
  }

  /** Takes what is there. */
  read(): string {
    const chunk = new Uint8Array(1 << 16)
    try {
      for (let got = -1; got !== 0; ) {
        got = readSync(this.#fd, chunk, 0, chunk.length, null)
        this.text += Buffer.from(chunk.subarray(0, got)).toString()
      }
    } catch (error) {
      expect(error).toMatchObject({ code: "EAGAIN" })
    }
    return this.text
  }

  close(): void {
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Runs the executable with a shell's redirections. */
function shell(words: readonly string[], redirections: string, stdin = "") {
  const command = ["sh", "-c", `exec "$@" ${redirections}`, "sh", built!, ...words]
  return Bun.spawn(command, { cwd: dir, env: env(), stdin: new Blob([stdin]), stdout: "pipe", stderr: "pipe" })
}

describe.skipIf(built === null || tiny === null)("a server whose output nobody reads", () => {
  test("answers, counts the lines that it drops, and ends when it is told to", async () => {
    using pipe = new SlowPipe("log")
    await using child = shell(["serve", tiny!, "--port", "0"], `2> ${pipe.path} > ${pipe.path}`)
    let url = ""
    const isReady = async () => (url = /serving .* on (http:\/\/[^\s,]+)/.exec(pipe.read())?.[1] ?? "") !== ""
    await until("it is ready", isReady)

    // Lines about these paths are more than the pipe and the buffer hold together.
    const fill = async () => {
      for (let i = 0; i < 200; i++) expect((await fetch(`${url}/${"x".repeat(8000)}`)).status).toBe(404)
    }
    const numDropped = async () => {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      return Number(/^baozi:log_lines_dropped_total(?:\{.*\})? (\S+)$/m.exec(metrics)![1])
    }
    expect(await numDropped()).toBe(0)
    await fill()
    const dropped = await numDropped()
    expect(dropped).toBeGreaterThan(0)
    expect(dropped).toBeLessThan(200)
    expect((await fetch(`${url}/health`)).status).toBe(200)
    const ask = async () => (await post({ url }, "/v1/completions", { prompt: "a", max_tokens: 4 })).status
    expect(await ask()).toBe(200)

    await until("the pipe is read", async () => pipe.read().split("answered").length > 200 - dropped)
    expect(await ask()).toBe(200)
    await until("the loss is told", async () => /WARNING .*log lines were dropped.* numDropped=\d+/.test(pipe.read()))

    await fill()
    expect(await numDropped()).toBeGreaterThan(dropped)
    child.kill("SIGTERM")
    expect(await child.exited).toBe(0)
  }, 120_000)

  test("keeps serving when the reader has gone away", async () => {
    let url = ""
    const pipe = new SlowPipe("gone")
    await using child = shell(["serve", tiny!, "--port", "0"], `2> ${pipe.path}`)
    const isReady = async () => (url = /serving .* on (http:\/\/[^\s,]+)/.exec(pipe.read())?.[1] ?? "") !== ""
    await until("it is ready", isReady)
    pipe.close()
    for (let i = 0; i < 3; i++) expect((await fetch(`${url}/v1/models`)).status).toBe(200)
    child.kill("SIGTERM")
    expect(await child.exited).toBe(0)
  }, 120_000)
})

/** What comes of a pipeline from the executable, whose exit code is told on stderr, to `reader`. */
async function pipeline(words: readonly string[], reader: string, stdin = "") {
  const script = `{ "$@"; echo "code $?" >&2; } | ${reader}`
  const command = ["sh", "-c", script, "sh", ...words]
  const child = Bun.spawn(command, { cwd: dir, env: env(), stdin: new Blob([stdin]), stdout: "pipe", stderr: "pipe" })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  await child.exited
  return { stdout, stderr }
}

/** The same with a reader that has gone before the first byte is written. */
async function withoutReader(...words: readonly string[]) {
  const gone = join(dir, crypto.randomUUID())
  const late = `until [ -e ${gone} ]; do sleep 0.01; done; exec "$@"`
  return pipeline(["sh", "-c", late, "sh", built!, ...words], `{ exec <&-; : > ${gone}; }`)
}

const IN_SILENCE = { stdout: "", stderr: "code 141\n" }
const SMALL = ["--kv-cache-memory-bytes", "16M"]

describe.skipIf(built === null)("a command whose reader goes away", () => {
  test("ends in silence", async () => {
    expect(await withoutReader("serve", "--help")).toEqual(IN_SILENCE)
    expect(await withoutReader("doctor")).toEqual(IN_SILENCE)
  }, 120_000)

  test.skipIf(tiny === null)("ends an answer in silence", async () => {
    const flags = ["--quick", "the quick", "--temperature", "0", "--max-tokens", "400", ...SMALL]
    expect(await withoutReader("complete", tiny!, ...flags)).toEqual(IN_SILENCE)
    expect(await withoutReader("chat", tiny!, ...flags)).toEqual(IN_SILENCE)
  }, 120_000)

  test.skipIf(tiny === null).each(["-", "/dev/stdout", "/dev/fd/1"])("in the middle of a batch: -o %s", async (to) => {
    const body = { prompt: "the quick ".repeat(1000) }
    const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ custom_id: `r${i}`, url: "/tokenize", body }))
    const words = ["run-batch", tiny!, "-i", "-", "-o", to, "--concurrency", "1", ...SMALL]
    // More than a pipe holds, so that the end of its reader shows.
    const { stdout, stderr } = await pipeline([built!, ...words], "head -n 1", lines.join("\n"))
    expect(JSON.parse(stdout)).toMatchObject({ custom_id: "r0", error: null })
    expect(stderr).toBe(IN_SILENCE.stderr)
  }, 120_000)

  test("that is full is told of in words", async () => {
    const child = shell(["doctor"], "> /dev/full")
    expect(await child.stderr.text()).toMatch(/^error: cannot write to standard output: ENOSPC.*\n$/)
    expect(await child.exited).toBe(1)
  }, 120_000)

  test("that is slow gets all of it", async () => {
    const { stdout, stderr } = await pipeline([built!, "serve", "--help"], "{ sleep 0.3; wc -c; }")
    const direct = Bun.spawnSync([built!, "serve", "--help"], { cwd: dir, env: env() }).stdout.length
    expect([Number(stdout), stderr]).toEqual([direct, "code 0\n"])
  }, 120_000)
})
