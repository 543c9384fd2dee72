import { expect, test } from "bun:test"
import { join } from "node:path"
import {
  ENGINE_ROWS, isPrefill, loadOf, nameOf, parseRows, ROWS, STREAM_ROWS, streamOf,
} from "../../bench/peers/rows.ts"
import { gapsDuring } from "../../bench/peers/served.ts"

test("rows are chosen by name or by kind", () => {
  expect(parseRows("engine,itl")).toEqual(["prefill", "decode", "itl"])
  expect(new Set(parseRows("engine,long,served"))).toEqual(new Set(ROWS))
  expect(() => parseRows("prefil")).toThrow(/unknown row prefil; there are engine, long, served, prefill/)
})

test("the rows of long contexts are asked for by name, and have a prompt and tokens after it", () => {
  expect(parseRows("engine")).toEqual([...ENGINE_ROWS])
  expect(parseRows("long").map((row) => streamOf(row)!.inputLen)).toEqual([16_384, 16_384, 32_768, 32_768])
  expect(parseRows("long").map(isPrefill)).toEqual([true, false, true, false])
  // A row that tells of tokens after the prompt has some.
  for (const row of STREAM_ROWS) expect(isPrefill(row) || streamOf(row)!.numDecoded > 0).toBe(true)
  expect(streamOf("256x4")).toBeNull()
})

test("a row tells the answers that were really asked for", () => {
  expect(loadOf("16x64", 64)).toEqual({ inputLen: 16, outputLen: 64, streams: 64, numPrompts: 64 })
  expect(nameOf("16x64", 64)).toBe("16 in, 64 out, 64 streams, tok/s")
  expect(nameOf("256x4", 32)).toBe("256 in, 64 out, 4 streams, tok/s")
  expect(new Set(ROWS.map((row) => nameOf(row, 256))).size).toBe(ROWS.length)
})

test("gaps during a prompt are those that overlap its time, whole", () => {
  // Tokens at 100, 110, 410, 420 and 430.
  const outcome = {
    error: null, startMs: 0, queueMs: 0, ttftMs: 100, itlsMs: [10, 300, 10, 10], latencyMs: 430, promptTokens: 16,
    outputTokens: 5, text: "",
  }
  expect(gapsDuring(outcome, 200, 300)).toEqual([300])
  expect(gapsDuring(outcome, 105, 415)).toEqual([10, 300, 10])
  expect(gapsDuring(outcome, 500, 600)).toEqual([])
})

test("a script's rows of the same lengths are figures of one run, and short prompts are run once before", () => {
  const program = [
    "from stream_rows import longest_stream, report, report_streams, split_rows",
    "streams, others = split_rows('prefill:512:0,decode:8:128,itl,prefill-16k:16384:32,decode-16k:16384:32')",
    "runs = []",
    "def run(input_len, output_len):",
    "    runs.append([input_len, output_len])",
    "    return 2, 4",
    "report_streams(streams, run)",
    "report('others', others)",
    "report('longest', longest_stream(streams))",
    "report('runs', runs)",
  ]
  const directory = join(import.meta.dir, "../../bench/peers")
  const { stdout, stderr } = Bun.spawnSync(["python3", "-c", program.join("\n")], {
    cwd: directory, env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" }, stderr: "pipe",
  })
  expect(stderr.toString()).toBe("")
  const lines = stdout.toString().trim().split("\n")
  expect(Object.fromEntries(lines.map((line) => Object.values(JSON.parse(line) as object)))).toEqual({
    prefill: 256, decode: 32, "prefill-16k": 8192, "decode-16k": 8, others: ["itl"], longest: 16_384 + 33,
    runs: [[512, 1], [512, 1], [8, 4], [8, 129], [16_384, 33]],
  })
})
