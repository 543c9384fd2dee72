import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { TokenizerInfo } from "../../../src/api/schema/tokenize.ts"
import { makeApi, until } from "./harness.ts"

describe("steering the engine", () => {
  test("pauses, says so, and resumes", async () => {
    const api = makeApi()
    expect((await api.send("GET", "/is_paused")).json).toEqual({ is_paused: false })
    expect((await api.send("POST", "/pause?mode=keep&clear_cache=false")).json).toEqual({ status: "paused" })
    expect(api.fake.core.calls.at(-1)).toEqual({ name: "pause", args: ["paused_all"] })
    expect((await api.send("GET", "/is_paused")).json).toEqual({ is_paused: true })
    expect((await api.send("POST", "/resume")).json).toEqual({ status: "resumed" })
    await api.send("POST", "/pause")
    expect(api.fake.core.calls.slice(-2))
      .toEqual([{ name: "pause", args: ["paused_new"] }, { name: "resetPrefixCache", args: [true] }])
    const { status, json } = await api.send("POST", "/pause?mode=later")
    expect([status, json.error.param]).toEqual([400, "query.mode"])
  })

  test("sleeps and wakes up", async () => {
    const api = makeApi()
    expect((await api.send("POST", "/sleep")).json).toEqual({ status: "sleeping", level: 1 })
    expect(api.fake.core.calls.at(-1)).toEqual({ name: "sleep", args: [1] })
    expect((await api.send("GET", "/is_sleeping")).json).toEqual({ is_sleeping: true })
    const again = await api.send("POST", "/sleep?level=2")
    expect([again.status, again.json.error.type]).toEqual([409, "ConflictError"])
    expect((await api.send("POST", "/wake_up?tags=weights")).json.error.param).toBe("tags")
    expect((await api.send("POST", "/wake_up?tags=weights&tags=kv_cache")).json)
      .toEqual({ status: "awake", tags: ["weights", "kv_cache"] })
    expect((await api.send("POST", "/wake_up")).json).toEqual({ status: "awake", tags: null })
    expect((await api.send("GET", "/is_sleeping")).json).toEqual({ is_sleeping: false })
    expect((await api.send("POST", "/sleep?level=3")).json.error.param).toBe("query.level")
  })

  test("tells why it does not wake up", async () => {
    const api = makeApi()
    await api.send("POST", "/sleep")
    api.fake.core.answerCall("wakeUp", () => Promise.reject(new Error("no memory for weights")))
    const { status, json } = await api.send("POST", "/wake_up")
    expect([status, json.error.message]).toEqual([503, "The engine cannot wake up: no memory for weights"])
  })

  test("aborts requests by the id of their answer, or all", async () => {
    const api = makeApi({ stepMs: null })
    const ask = (id: string) => api.post("/v1/completions", { prompt: ["a", "b"] }, { "x-request-id": id })
    const [one, two] = [ask("one"), ask("two")]
    await until(() => api.fake.numLive() === 4, "the requests")
    expect((await api.post("/abort_requests", { request_ids: ["cmpl-one", "cmpl-three"] })).json)
      .toEqual({ status: "aborted", aborted: 2 })
    expect((await one).json.choices.map(({ finish_reason }: { finish_reason: string }) => finish_reason))
      .toEqual(["abort", "abort"])
    expect(api.fake.numLive()).toBe(2)
    expect((await api.post("/abort_requests", {})).json.aborted).toBe(2)
    expect((await two).json.choices[0].finish_reason).toBe("abort")
  })

  test("is for developers only", async () => {
    const api = makeApi({ api: { devMode: false } })
    for (const path of ["/sleep", "/wake_up", "/pause", "/resume", "/abort_requests"]) {
      expect([path, (await api.post(path, {})).status]).toEqual([path, 404])
    }
    for (const path of ["/is_sleeping", "/is_paused", "/server_info"]) {
      expect([path, (await api.send("GET", path)).status]).toEqual([path, 404])
    }
  })
})

test("/server_info tells the flags as text or JSON", async () => {
  const serverInfo = { config: { port: 8000, model: null }, env: { BAOZI_ISA: "avx2" }, system: { arch: "x64" } }
  const api = makeApi({ api: { serverInfo } })
  expect((await api.send("GET", "/server_info")).json)
    .toEqual({ vllm_config: "port=8000, model=null", vllm_env: { BAOZI_ISA: "avx2" }, system_env: { arch: "x64" } })
  expect((await api.send("GET", "/server_info?config_format=json")).json.vllm_config).toEqual(serverInfo.config)
})

test("/tokenizer_info tells what the tokenizer is, unless it should not", async () => {
  const { json } = await makeApi().send("GET", "/tokenizer_info")
  expect([...Value.Errors(TokenizerInfo, json)]).toEqual([])
  expect(json).toMatchObject({ model_max_length: 256, name_or_path: "fake-root" })
  expect(json.chat_template).toContain("<|im_start|>")
  expect(Object.values(json.added_tokens_decoder)).toContain("<|eos|>")
  expect((await makeApi({ api: { enableTokenizerInfo: false } }).send("GET", "/tokenizer_info")).status).toBe(404)
})
