import { describe, expect, spyOn, test } from "bun:test"
import type { BenchActions, BenchName } from "../../../src/cli/bench-options.ts"
import { BENCH_COMMANDS } from "../../../src/cli/bench-options.ts"
import { stderr, stdout } from "../../../src/base/standard-streams.ts"
import { runCli } from "../../../src/cli/index.ts"

interface Outcome {
  code: number
  name: string | null
  config: Record<string, unknown>
  stdout: string
  stderr: string
}

async function run(...words: string[]): Promise<Outcome> {
  const outcome: Outcome = { code: -1, name: null, config: {}, stdout: "", stderr: "" }
  const out = spyOn(stdout, "write").mockImplementation((text) => ((outcome.stdout += text), true))
  const err = spyOn(stderr, "write").mockImplementation((text) => ((outcome.stderr += text), true))
  const actions = Object.fromEntries(Object.keys(BENCH_COMMANDS).map((name) => [name, async (config: unknown) => {
    Object.assign(outcome, { name, config })
    return 0
  }])) as unknown as BenchActions
  try {
    const unasked = () => Promise.reject(new Error("not asked for"))
    outcome.code = await runCli(["bench", ...words], {
      serve: unasked, bench: () => Promise.resolve(actions), local: unasked,
    })
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
  return outcome
}

describe("bench", () => {
  test("a measurement gets its own flags and a whole config of the engine", async () => {
    const { code, name, config } = await run("latency", "./m", "--input-len", "7", "--threads", "3", "--json", "-")
    expect([code, name]).toEqual([0, "latency"])
    expect(config).toMatchObject({ inputLen: 7, outputLen: 128, batchSize: 8, numIters: 30, json: "-" })
    expect(config["engine"]).toMatchObject({ model: "./m", threads: 3, maxNumSeqs: 128, dtype: "auto", port: 8000 })
  })

  test("limits take the machine's flags and no model", async () => {
    expect((await run("limits", "--isa", "scalar")).config["engine"]).toMatchObject({ model: null, isa: "scalar" })
    expect((await run("limits", "--max-model-len", "9")).code).toBe(2)
    expect((await run("limits", "model")).code).toBe(2)
  })

  test("wrong values are errors that name flag and limit", async () => {
    expect((await run("latency", "--batch-size", "0")).stderr).toContain('--batch-size is "0", but must be')
    expect((await run("throughput", "--random-range-ratio", "1")).stderr).toContain("at least 0 and less than 1")
    expect((await run("latency", "a", "--model", "b")).stderr).toContain("the model is given twice")
    expect((await run("speed")).code).toBe(2)
  })

  test("help names every measurement, and each its flags", async () => {
    const { stdout } = await run("--help")
    for (const [name, { flags }] of Object.entries(BENCH_COMMANDS)) {
      expect(stdout).toContain(name)
      const help = (await run(name as BenchName, "--help")).stdout
      for (const flag of Object.values(flags)) expect(help).toContain(flag.usage.split(" ")[0]!)
    }
  })
})
