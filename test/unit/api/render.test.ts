import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { RenderedPrompt } from "../../../src/api/schema/render.ts"
import { makeApi } from "./harness.ts"
import type { Json } from "./harness.ts"

describe("render", () => {
  const api = makeApi()

  test("shows what each prompt becomes, with every parameter, and bothers the engine with none", async () => {
    const parameters = { temperature: 0.5, seed: 7, logit_bias: { "5": 1 }, max_tokens: 9, priority: 2 }
    const body = { prompt: ["hi", "you"], ...parameters }
    const { status, json } = await api.post("/v1/completions/render", body)
    expect([status, json.length, json[0].prompt, json[1].prompt]).toEqual([200, 2, "hi", "you"])
    for (const one of json) expect([...Value.Errors(RenderedPrompt, one)]).toEqual([])
    const answer = await api.post("/v1/completions", { ...body, max_tokens: 1, return_token_ids: true })
    expect(json.map(({ token_ids }: Json) => token_ids))
      .toEqual(answer.json.choices.map(({ prompt_token_ids }: Json) => prompt_token_ids))
    expect(json[0]).toMatchObject({
      model: "fake", priority: 2, stream: false,
      sampling_params: { temperature: 0.5, top_p: 1, seed: 7, max_tokens: 9, logit_bias: { "5": 1 }, stop: [] },
    })
    expect(api.fake.core.added).toHaveLength(2)
  })

  test("shows a conversation through the template", async () => {
    const messages = [{ role: "user", content: "hi" }]
    const { json } = await api.post("/v1/chat/completions/render", { messages, seed: "9223372036854775807" })
    expect(json.prompt).toBe("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    expect(json.token_ids).toEqual(api.fake.tokenizer.encode(json.prompt, { addSpecialTokens: false }))
    expect(json.sampling_params.seed).toBe("9223372036854775807")
    expect(json.request_id).toStartWith("chatcmpl-")
    expect([...Value.Errors(RenderedPrompt, json)]).toEqual([])
  })

  test("shows an empty prompt, which cannot be answered", async () => {
    const api = makeApi({ api: { trustRequestChatTemplate: true } })
    const body = { messages: [{ role: "user", content: "hi" }], chat_template: "{{ nothing }}" }
    const shown = await api.post("/v1/chat/completions/render", body)
    expect([shown.status, shown.json.prompt, shown.json.token_ids]).toEqual([200, "", []])
    const conversations = { ...body, messages: [body.messages] }
    for (const refused of [
      await api.post("/v1/chat/completions", body), await api.post("/v1/chat/completions", { ...body, stream: true }),
      await api.post("/v1/chat/completions/batch", conversations),
    ]) {
      expect([refused.status, refused.json.error.param]).toEqual([400, "prompt"])
    }
    expect(api.fake.core.added).toEqual([])
  })

  test("shows many prompts, however long the list", async () => {
    const prompt = Array.from({ length: 900 }, (_, i) => `${i} ${"ab ".repeat(50)}`)
    const { status, json } = await api.post("/v1/completions/render", { prompt })
    expect([status, json.map((one: Json) => one.prompt)]).toEqual([200, prompt])
    expect(json[899].token_ids).toEqual(api.fake.tokenizer.encode(prompt[899]!))
  })

  test("shows a message's conversation and a response's, with what was before it", async () => {
    const api = makeApi({ reply: "Hello<|eos|>" })
    const conversation = { messages: [{ role: "user", content: "hi" }], system: "S", max_tokens: 7 }
    const message = (await api.post("/v1/messages/render", { ...conversation, stop_sequences: ["x"] })).json
    const system = "<|im_start|>system\nS<|im_end|>\n"
    const asked = "<|im_start|>user\nhi<|im_end|>\n"
    expect(message.prompt).toBe(`${system}${asked}<|im_start|>assistant\n`)
    expect(message.sampling_params).toMatchObject({ max_tokens: 7, stop: ["x"] })

    const { json: { id } } = await api.post("/v1/responses", { input: "hi" })
    const body = { input: "you", previous_response_id: id, instructions: "S", cache_salt: "a", max_output_tokens: 7 }
    const { json } = await api.post("/v1/responses/render", body)
    const said = "<|im_start|>assistant\nHello<|im_end|>\n"
    expect(json.prompt)
      .toBe(`${system}${asked}${said}<|im_start|>user\nyou<|im_end|>\n<|im_start|>assistant\n`)
    expect(json).toMatchObject({ cache_salt: "a", sampling_params: { max_tokens: 7 } })
    expect((await api.send("GET", `/v1/responses/${json.request_id}`)).status).toBe(404)
    for (const one of [message, json]) expect([...Value.Errors(RenderedPrompt, one)]).toEqual([])
    expect(api.fake.core.added).toHaveLength(1)
  })

  test("refuses what the endpoints themselves refuse", async () => {
    expect((await api.post("/v1/completions/render", { prompt: "" })).json.error.param).toBe("prompt")
    const chat = await api.post("/v1/chat/completions/render", { messages: [], model: "nope" })
    expect(chat.status).toBe(404)
    expect((await api.post("/v1/messages/render", { messages: [] })).json.error.type).toBe("invalid_request_error")
    expect((await api.post("/v1/responses/render", { input: [{}] })).json.error.param).toBe("input.0.role")
  })
})
