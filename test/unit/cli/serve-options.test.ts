import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stderr, stdout } from "../../../src/base/standard-streams.ts"
import { runCli, VERSION } from "../../../src/cli/index.ts"
import { itlTargetMs, SERVE_FLAGS, type ServeConfig } from "../../../src/cli/serve-options.ts"

interface Outcome {
  code: number
  config: ServeConfig | null
  stdout: string
  stderr: string
}

async function run(...words: string[]): Promise<Outcome> {
  const outcome: Outcome = { code: -1, config: null, stdout: "", stderr: "" }
  const out = spyOn(stdout, "write").mockImplementation((text) => ((outcome.stdout += text), true))
  const err = spyOn(stderr, "write").mockImplementation((text) => ((outcome.stderr += text), true))
  try {
    const serve = async (config: ServeConfig) => ((outcome.config = config), 0)
    const unasked = () => Promise.reject(new Error("not asked for"))
    outcome.code = await runCli(words, { serve, bench: unasked, local: unasked })
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
  return outcome
}

async function configOf(...words: string[]): Promise<ServeConfig> {
  const { config, stderr } = await run("serve", ...words)
  if (config === null) throw new Error(stderr)
  return config
}

const saved = {
  BAOZI_API_KEY: process.env["BAOZI_API_KEY"], VLLM_API_KEY: process.env["VLLM_API_KEY"],
  BAOZI_ISA: process.env["BAOZI_ISA"],
}
const names = Object.keys(saved) as (keyof typeof saved)[]
beforeEach(() => names.forEach((name) => delete process.env[name]))
afterEach(() => names.forEach((name) => {
  if (saved[name] === undefined) delete process.env[name]
  else process.env[name] = saved[name]
}))

describe("serve", () => {
  test("takes the instruction set from the flag, else from BAOZI_ISA", async () => {
    expect((await configOf()).isa).toBeNull()
    process.env["BAOZI_ISA"] = "avx2"
    expect((await configOf()).isa).toBe("avx2")
    expect((await configOf("--isa", "scalar")).isa).toBe("scalar")
  })

  test("activations have 12 bits, or 8", async () => {
    expect((await configOf()).activationBits).toBe(12)
    expect((await configOf("--activation-bits", "8")).activationBits).toBe(8)
    const { stderr } = await run("serve", "--activation-bits", "9")
    expect(stderr).toContain("--activation-bits is 9, but must be 8 or 12")
  })

  test("defaults", async () => {
    const config = await configOf()
    expect(config).toMatchObject({
      model: null, host: "127.0.0.1", port: 8000, servedModelName: [], maxModelLen: null, dtype: "auto",
      quantization: null,
      kvCacheDtype: "auto", blockSize: 128, numGpuBlocksOverride: null, kvCacheMemoryBytes: null,
      gpuMemoryUtilization: null, maxNumBatchedTokens: 2048, maxNumSeqs: 128, longPrefillTokenThreshold: 0,
      schedulingPolicy: "fcfs", enablePrefixCaching: true, enableChunkedPrefill: true, seed: null, chatTemplate: null,
      generationConfig: "auto", overrideGenerationConfig: {}, maxLogprobs: 20, tokenizer: null, apiKey: [],
      reasoningParser: "auto", enableAutoToolChoice: false, toolCallParser: "auto", excludeToolsWhenToolChoiceNone: false,
      threads: 0, isa: null, libDir: null, logLevel: "info",
      logFormat: "text", uds: null, rootPath: "", shutdownTimeout: 30, responseRole: "assistant", offline: false,
    })
    expect(Object.keys(config).sort()).toEqual(["model", ...Object.keys(SERVE_FLAGS)].sort())
  })

  const cases: [string[], Partial<ServeConfig>][] = [
    [["m.gguf"], { model: "m.gguf" }],
    [["--model", "m.gguf"], { model: "m.gguf" }],
    [["--max-model-len", "4K"], { maxModelLen: 4096 }],
    [["--max-model-len", "auto"], { maxModelLen: null }],
    [["--max_model_len=25.6k"], { maxModelLen: 25600 }],
    [["m", "--served-model-name", "a", "b"], { model: "m", servedModelName: ["a", "b"] }],
    [["--api-key", "x", "--api-key", "y", "z"], { apiKey: ["x", "y", "z"] }],
    [["--no-enable-prefix-caching"], { enablePrefixCaching: false }],
    [["--no-enable-chunked-prefill"], { enablePrefixCaching: true, enableChunkedPrefill: false }],
    [["--enable-prefix-caching"], { enablePrefixCaching: true }],
    [["--override-generation-config", '{"temperature":0}'], { overrideGenerationConfig: { temperature: 0 } }],
    [["--kv-cache-memory-bytes", "2G"], { kvCacheMemoryBytes: 2 ** 31 }],
    [["--device-memory-utilization", "0.5"], { gpuMemoryUtilization: 0.5 }],
    [["--max-num-queued-reqs", "7"], { maxNumQueuedReqs: 7 }],
    [["--enable-auto-tool-choice", "--tool-call-parser", "hermes"], { toolCallParser: "hermes" }],
    [["--uds", "/run/b.sock", "--root-path", "/llm"], { uds: "/run/b.sock", rootPath: "/llm" }],
    [["--max-logprobs", "-1"], { maxLogprobs: -1 }],
    [["--sse-keep-alive-interval", "0"], { ssePingInterval: 0 }],
    [["--allowed-origins", '["https://a", "https://b"]'], { allowedOrigins: ["https://a", "https://b"] }],
    [["--allowed-origins", "https://a", "--allow-credentials"], { allowCredentials: true }],
    [["--quantization", "int4"], { quantization: "int4" }],
  ]
  test.each(cases)("%j", async (words, expected) => {
    expect(await configOf(...words)).toMatchObject(expected)
  })

  test("the environment supplies a key where no flag does", async () => {
    process.env["VLLM_API_KEY"] = "from-vllm"
    expect((await configOf()).apiKey).toEqual(["from-vllm"])
    process.env["BAOZI_API_KEY"] = "from-baozi"
    expect((await configOf()).apiKey).toEqual(["from-baozi"])
    expect((await configOf("--api-key", "flag")).apiKey).toEqual(["flag"])
    process.env["BAOZI_API_KEY"] = "one two"
    expect((await configOf()).apiKey).toEqual(["one", "two"])
  })

  test("a file supplies keys beside the flag's", async () => {
    const dir = mkdtempSync(join(tmpdir(), "baozi-keys-"))
    try {
      const path = join(dir, "keys")
      writeFileSync(path, "# team a\nfirst\n\n  second  \r\n")
      expect((await configOf("--api-key-file", path)).apiKey).toEqual(["first", "second"])
      expect((await configOf("--api-key-file", path, "--api-key", "flag")).apiKey).toEqual(["flag", "first", "second"])
      writeFileSync(path, "# nothing\n")
      expect((await run("serve", "--api-key-file", path)).stderr).toContain("holds no key")
      writeFileSync(path, "a b\n")
      expect((await run("serve", "--api-key-file", path)).stderr).toContain("key 1 has a space")
      expect((await run("serve", "--api-key-file", `${path}-not`)).stderr).toContain("no such file")
    } finally {
      rmSync(dir, { recursive: true })
    }
  })

  test.each<[string[], number | null]>([
    [[], 1000], [["--max-itl-ms", "50"], 50], [["--max-itl-ms", "0"], null], [["--no-enable-chunked-prefill"], null],
    [["--max-itl-ms", "0", "--no-enable-chunked-prefill"], null],
  ])("%j aims at %p ms between tokens", async (words, target) => {
    expect(itlTargetMs((await run("serve", ...words)).config as ServeConfig)).toBe(target)
  })

  const refused: [string[], number, RegExp][] = [
    [["--prot", "1"], 2, /unknown option '--prot'\n\(Did you mean --port\?\)/],
    [["a", "b"], 2, /too many arguments/],
    [["a", "--model", "b"], 2, /given twice/],
    [["--port"], 2, /argument missing/],
    [["--port", "65536"], 1, /--port is "65536", but must be a whole number from 0 to 65535/],
    [["--dtype", "int3"], 1, /--dtype is "int3", but must be one of auto, float32/],
    [["--quantization", "fp8"], 1, /--quantization is "fp8", but must be one of int8, int4/],
    [["--quantization", "int8", "--dtype", "float32"], 1, /--quantization and --dtype.* give one of them/],
    [["--tool-call-parser", "nope"], 1, /must be one of auto, none, deepseek_v3/],
    [["--tool-call-parser", "nope"], 1, /--tool-call-parser is "nope".*hermes, kimi_k2, llama3_json/],
    [["--reasoning-parser", "nope"], 1, /--reasoning-parser is "nope".*deepseek_r1.*qwen3/],
    [["--max-num-seqs", "9", "--max-num-batched-tokens", "8"], 1, /--max-num-seqs 9 is more than .* 8/],
    [["--kv-cache-memory-bytes", "1G", "--gpu-memory-utilization", "0.5"], 1, /give one of them/],
    [["--allowed-origins", "[1]"], 1, /must be a JSON list of texts/],
    [["--max-requests-per-key", "3"], 1, /needs --api-key/],
    [["--ssl-certfile", "a"], 1, /give both/],
    [["--ssl-keyfile", "a"], 1, /give both/],
    [["--ssl-ca-certs", "a"], 1, /needs --ssl-certfile/],
    [["--ssl-certfile", "a", "--ssl-keyfile", "b", "--uds", "c"], 1, /--ssl-certfile and --uds/],
    [["--max-itl-ms", "50", "--no-enable-chunked-prefill"], 1, /--max-itl-ms needs/],
    [["--allow-credentials"], 1, /needs --allowed-origins that names them/],
    [["--allow-credentials", "--allowed-origins", "*"], 1, /needs --allowed-origins that names them/],
    [["--root-path", "llm/"], 1, /must start with a slash/],
    [["--api-key", ""], 1, /--api-key is ""/],
  ]
  test.each(refused)("%j is refused", async (words, code, message) => {
    const outcome = await run("serve", ...words)
    expect(outcome.stderr).toMatch(message)
    expect([outcome.code, outcome.config]).toEqual([code, null])
  })

  test("help names every flag", async () => {
    const { code, stdout } = await run("serve", "--help")
    expect(code).toBe(0)
    for (const flag of Object.values(SERVE_FLAGS)) expect(stdout).toContain(flag.usage)
    expect(stdout).toContain("--no-enable-prefix-caching")
  })
})

describe("the program", () => {
  test("version and help go to stdout", async () => {
    expect(await run("--version")).toMatchObject({ code: 0, stdout: `baozi ${VERSION}\n`, stderr: "" })
    const help = await run("--help")
    expect(help.code).toBe(0)
    expect(help.stdout).toMatch(/serve \[options\] \[model\] +serve a model over HTTP/)
  })

  test("no words, or unknown ones, are an error with help", async () => {
    expect(await run()).toMatchObject({ code: 2, stdout: "" })
    const stderr = "error: unknown command 'serv'\n(Did you mean serve?)\n"
    expect(await run("serv")).toMatchObject({ code: 2, stderr })
  })
})
