import { afterAll, beforeEach, describe, expect, test } from "bun:test"
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BatchOutput, type BatchResult } from "../../../src/batch/batch-output.ts"
import { Progress } from "../../../src/batch/progress.ts"
import { countLines, readLines } from "../../../src/batch/read-lines.ts"
import { runBatch, type BatchJob } from "../../../src/batch/run-batch.ts"

const dir = mkdtempSync(join(tmpdir(), "baozi-batch-"))
const input = join(dir, "input.jsonl")
const output = join(dir, "output.jsonl")
beforeEach(() => rmSync(output, { force: true }))
afterAll(() => rmSync(dir, { recursive: true }))

function writeInput(...lines: (object | string)[]): void {
  writeFileSync(input, lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"))
}

const ask = (custom_id: string, body: object = {}) => ({ custom_id, method: "POST", url: "/v1/completions", body })

const results = () =>
  readFileSync(output, "utf8").trim().split("\n").filter((line) => line !== "").map((line): any => JSON.parse(line))
const idsOf = () => results().map(({ custom_id }) => custom_id)

const echo = async (request: Request): Promise<Response> => {
  const usage = { prompt_tokens: 2, completion_tokens: 3 }
  return Response.json({ path: new URL(request.url).pathname, asked: await request.json(), usage })
}

async function run(overrides: Partial<BatchJob> = {}, { overwrite = false } = {}) {
  const words: string[] = []
  const progress = new Progress({ isTerminal: false, write: (text) => words.push(text), now: () => 0 })
  const opened = new BatchOutput(output, { overwrite })
  const summary = await runBatch({
    lines: readLines(input), numLines: await countLines(input), output: opened, concurrency: 4, handle: echo,
    hasDied: () => false, signal: new AbortController().signal, progress, randomHex: (bytes) => "0".repeat(2 * bytes),
    ...overrides,
  })
  await opened.close()
  return { summary, words: words.join("") }
}

describe("a run", () => {
  test("writes OpenAI's lines: answers, refusals of the endpoint, and lines that are none", async () => {
    writeInput(ask("a", { prompt: "x" }), "nonsense", "", ask("b", { fail: true }), ask("a"))
    const handle = async (request: Request): Promise<Response> =>
      (await request.clone().text()).includes("fail")
        ? Response.json({ error: { message: "no", code: 400 } }, { status: 400 })
        : echo(request)
    const { summary, words } = await run({ handle, concurrency: 1 })
    const zeros = "0".repeat(32)
    const usage = { prompt_tokens: 2, completion_tokens: 3 }
    expect(results()).toEqual([
      {
        id: `batch_req_${zeros}`, custom_id: "a", error: null,
        response: {
          status_code: 200, request_id: "batch-0000000000000000",
          body: { path: "/v1/completions", asked: { prompt: "x" }, usage },
        },
      },
      {
        id: `batch_req_${zeros}`, custom_id: null, response: null,
        error: { code: "invalid_line", line: 2, message: expect.stringContaining("line 2: not JSON") },
      },
      {
        id: `batch_req_${zeros}`, custom_id: "b", error: null,
        response: {
          status_code: 400, request_id: expect.any(String), body: { error: { message: "no", code: 400 } },
        },
      },
      {
        id: `batch_req_${zeros}`, custom_id: null, response: null,
        error: { code: "duplicate_custom_id", line: 5, message: expect.stringContaining('"a" is that of an earlier') },
      },
    ])
    expect(summary).toMatchObject({ numDone: 4, numFailed: 3, numPromptTokens: 2, numOutputTokens: 3 })
    expect(words).toContain("4 of 4 done, 3 failed, 2 + 3 tokens")
  })

  test("has so many requests under way and no more, and reads the input no faster", async () => {
    writeInput(...Array.from({ length: 40 }, (_, i) => ask(String(i))))
    let numRead = 0
    let numAnswered = 0
    let numUnderWay = 0
    let most = 0
    async function* counted() {
      for await (const line of readLines(input)) {
        numRead += 1
        yield line
      }
    }
    const handle = async (request: Request): Promise<Response> => {
      most = Math.max(most, ++numUnderWay)
      expect(numRead - numAnswered).toBeLessThanOrEqual(7)
      await Bun.sleep(1)
      numUnderWay -= 1
      numAnswered += 1
      return echo(request)
    }
    await run({ handle, lines: counted(), concurrency: 7 })
    expect(most).toBe(7)
    expect(idsOf().map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })
})

describe("a run that was stopped", () => {
  const all = ["a", "b", "c", "d", "e"]

  test("leaves no results of what was under way, and the next one adds what is missing", async () => {
    writeInput(...all.map((id) => ask(id)), "nonsense")
    const stop = new AbortController()
    let numAsked = 0
    const handle = async (request: Request): Promise<Response> => {
      if (++numAsked === 3) stop.abort()
      return echo(request)
    }
    const first = await run({ handle, signal: stop.signal, concurrency: 1 })
    expect(idsOf()).toEqual(["a", "b"])
    expect(first.summary.isStopped).toBe(true)
    expect(first.words).toContain("2 of 6 done, 4 + 6 tokens, 10000/s, 0 s")
    expect(first.words).toContain("goes on from here")

    // As a process that was killed in the middle of a line leaves it.
    appendFileSync(output, '{"id":"batch_req_1","custom_id":"c","resp')
    const second = await run({ concurrency: 2 })
    expect(second.summary).toMatchObject({ numSkipped: 2, numDone: 4, isStopped: false, numStray: 0 })
    expect(idsOf().sort()).toEqual([...all, null].sort())

    const third = await run()
    expect(third.summary).toMatchObject({ numSkipped: 6, numDone: 0 })
    expect(results()).toHaveLength(6)
  })

  test("is not held up by a reader that stalls", async () => {
    writeInput(...all.map((id) => ask(id)))
    const stop = new AbortController()
    const stalled = { doneIds: new Set(), doneLines: new Set(), write: () => new Promise<void>(() => stop.abort()) }
    const progress = new Progress({ isTerminal: false, write: () => {}, now: () => 0 })
    const summary = await runBatch({
      lines: readLines(input), numLines: 5, output: stalled as never, concurrency: 2, handle: echo,
      hasDied: () => false, signal: stop.signal, progress, randomHex: () => "0",
    })
    expect(summary).toMatchObject({ isStopped: true, numDone: 0 })
  })

  test("because its engine died has no results of what the dead engine said", async () => {
    writeInput(...all.map((id) => ask(id)))
    let hasDied = false
    const handle = async (request: Request): Promise<Response> => {
      hasDied = true
      return echo(request)
    }
    const { summary } = await run({ handle, hasDied: () => hasDied })
    expect(summary.isStopped).toBe(true)
    expect(results()).toEqual([])
  })
})

describe("the output file", () => {
  test("of another batch is noticed", async () => {
    writeInput(ask("x"))
    await run()
    writeInput(ask("y"))
    expect((await run()).summary.numStray).toBe(1)
  })

  test("that holds something else is not touched, unless told to", async () => {
    writeInput(ask("x"))
    writeFileSync(output, "my diary\n")
    await expect(run()).rejects.toThrow(/holds something else than a batch's results, from line 1 on/)
    expect(readFileSync(output, "utf8")).toBe("my diary\n")
    await run({}, { overwrite: true })
    expect(idsOf()).toEqual(["x"])
  })

  test("is read back over chunks of any size", async () => {
    const long = "y".repeat(3 * 2 ** 20)
    const result = (custom_id: string): BatchResult =>
      ({ id: "i", custom_id, response: { status_code: 200, request_id: "r", body: long }, error: null })
    writeFileSync(output, ["a", "b"].map((id) => `${JSON.stringify(result(id))}\n`).join("") + "{\"cut")
    const size = readFileSync(output).length
    const opened = new BatchOutput(output, { overwrite: false })
    expect([...opened.doneIds]).toEqual(["a", "b"])
    await opened.close()
    expect(readFileSync(output).length).toBe(size - 5)
  })

  test("may be a pipe, from which nothing is read back, and whose end is the system's error", async () => {
    const pipe = join(dir, "results")
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0)
    const reader = Bun.spawn(["head", "-n", "1", pipe], { stdout: "pipe" })
    const opened = new BatchOutput(pipe, { overwrite: false })
    const result: BatchResult = { id: "i", custom_id: "a", response: null, error: null }
    await opened.write(result)
    expect(await reader.stdout.json()).toEqual(result)
    await reader.exited
    await expect(opened.write(result)).rejects.toMatchObject({ code: "EPIPE" })
    await opened.close()
  })

  test("that cannot be written is an error", () => {
    expect(() => new BatchOutput("/proc/nowhere/x", { overwrite: false })).toThrow(/cannot write \/proc\/nowhere\/x/)
  })
})

describe("an input", () => {
  const lines = async (...parts: (string | readonly number[])[]) => {
    writeFileSync(input, Buffer.concat(parts.map((part) => Buffer.from(part as string))))
    return Array.fromAsync(readLines(input))
  }

  test("is read line by line, blank lines left out, each with its number", async () => {
    expect(await lines("\ufeffa\n\n \r\n\u00fc\ud83d\ude00\nb")).toEqual([
      { text: "a", number: 1, badByte: null }, { text: "\u00fc\ud83d\ude00", number: 4, badByte: null },
      { text: "b", number: 5, badByte: null },
    ])
    expect(await lines("")).toEqual([])
  })

  test("with bytes that are not UTF-8 loses the lines that hold them, and no others", async () => {
    const read = await lines("good\n", [0x61, 0xff, 0x62], "\n", [0xe2, 0x82], "\n", "\u00fc\n", [0xc3])
    expect(read.map(({ badByte }) => badByte)).toEqual([null, 2, 1, null, 1])
    expect(read[1]!.text).toBe("a\ufffdb")
    expect(read[3]!.text).toBe("\u00fc")
  })

  test("that holds characters of several bytes is read alike over chunks of any size", async () => {
    const line = "\u00fc\u20ac\ud83d\ude00".repeat(30_000)
    expect((await lines(`x${line}\n${line}`)).map(({ text }) => text)).toEqual([`x${line}`, line])
  })

  test("with a bad byte voids that line of the batch", async () => {
    writeFileSync(input, Buffer.concat([
      Buffer.from(`${JSON.stringify(ask("a"))}\n{"custom_id":"b","url":"/v1/completions","body":{"prompt":"`),
      Buffer.from([0xff]), Buffer.from(`"}}\n${JSON.stringify(ask("c"))}\n`),
    ]))
    const { summary } = await run()
    expect(summary).toMatchObject({ numDone: 3, numFailed: 1, isStopped: false })
    const byId = Object.fromEntries(results().map((result) => [result.custom_id, result]))
    expect(Object.keys(byId).sort()).toEqual(["a", "b", "c"])
    expect(byId["b"]).toMatchObject({
      response: null, error: { code: "invalid_line", line: 2, message: "line 2: not UTF-8: byte 60" },
    })
    expect((await run()).summary).toMatchObject({ numSkipped: 3, numDone: 0 })
  })

  test("that is a pipe is read once, without a count beforehand", async () => {
    const pipe = join(dir, "pipe")
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0)
    expect(await countLines(pipe)).toBeNull()
    const writer = Bun.spawn(["sh", "-c", `printf 'a\\nb' > ${pipe}`])
    expect((await Array.fromAsync(readLines(pipe))).map(({ text }) => text)).toEqual(["a", "b"])
    expect(await writer.exited).toBe(0)
  })
})

test("an input that is not there is an error", async () => {
  await expect(countLines(join(dir, "absent"))).rejects.toThrow(/cannot read .*absent/)
  await expect(countLines(dir)).rejects.toThrow(/not a file/)
})
