import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { ChatResponse } from "../../../src/api/schema/chat.ts"
import { makeApi, until } from "./harness.ts"
import type { Json } from "./harness.ts"

const PATH = "/v1/chat/completions/batch"
const say = (content: string, role = "user") => ({ role, content })
const conversations = [[say("one")], [say("two"), say("so", "assistant"), say("three")], [say("four")]]

describe("a batch of conversations", () => {
  test("has a choice for each, in their order, as each would get it alone", async () => {
    const api = makeApi({ reply: "ok<|eos|>" })
    const body = { seed: 3, temperature: 0.7, logprobs: true, return_token_ids: true }
    const { status, json } = await api.post(PATH, { ...body, messages: conversations })
    expect(status).toBe(200)
    expect([...Value.Errors(ChatResponse, json)]).toEqual([])
    expect(json.id).toStartWith("chatcmpl-")
    const alone: Json[] = []
    for (const messages of conversations) {
      alone.push((await api.post("/v1/chat/completions", { ...body, messages })).json)
    }
    expect(json.choices).toEqual(alone.map(({ choices: [choice] }, index) => ({ ...choice, index })))
    const sum = (field: string) => alone.reduce((total, { usage }) => total + usage[field], 0)
    expect(json.usage).toMatchObject({
      prompt_tokens: sum("prompt_tokens"), completion_tokens: sum("completion_tokens"), total_tokens: sum("total_tokens"),
    })
    const prompts = api.fake.core.added.map(({ promptTokenIds }) => promptTokenIds)
    expect(prompts.slice(0, 3)).toEqual(prompts.slice(3))
  })

  test("repeats the last message of each that the model goes on with", async () => {
    const api = makeApi({ reply: " end<|eos|>" })
    const messages = [[say("a"), say("The", "assistant")], [say("b"), say("An", "assistant")]]
    const goOn = { add_generation_prompt: false, continue_final_message: true, echo: true }
    const { json } = await api.post(PATH, { messages, ...goOn })
    expect(json.choices.map(({ message }: Json) => message)).toMatchObject([
      { role: "assistant", content: "The end" }, { role: "assistant", content: "An end" },
    ])
  })

  test("ends as a whole when the client goes away", async () => {
    const api = makeApi({ stepMs: null })
    const abort = new AbortController()
    const init = { method: "POST", headers: { "content-type": "application/json" }, signal: abort.signal }
    const body = JSON.stringify({ messages: conversations })
    const answer = api.app.handle(new Request(`http://localhost${PATH}`, { ...init, body }))
    await until(() => api.fake.numLive() === 3, "the requests")
    abort.abort()
    expect((await answer).status).toBe(499)
    expect([api.fake.numLive(), api.fake.numAborted()]).toEqual([0, 3])
  })

  const refused: [string, object, string, RegExp][] = [
    ["one conversation alone", { messages: conversations[0] }, "body.messages.0", /list of objects/],
    ["no conversation", { messages: [] }, "body.messages", /body.messages/],
    ["an empty conversation", { messages: [[say("a")], []] }, "body.messages.1", /body.messages.1/],
    ["several choices", { n: 2 }, "n", /n is not a field/],
    ["a stream", { stream: true }, "stream", /stream is not a field/],
    ["tools", { tools: [{ type: "function", function: { name: "f" } }] }, "tools", /tools is not a field/],
    ["a choice of tools", { tool_choice: "auto" }, "body.tool_choice", /"none"/],
    ["beam search", { use_beam_search: true }, "use_beam_search", /use_beam_search is not a field/],
    ["log-probabilities of the prompt", { prompt_logprobs: 0 }, "prompt_logprobs", /prompt_logprobs is not/],
    ["what chats refuse", { best_of: 2 }, "best_of", /best_of/],
    ["a picture in one", { messages: [[say("a")], [{ role: "user", content: [{ type: "image_url" }] }]] },
      "messages.0.content.0", /^Conversation 1: .*image_url/],
    ["one that is too long", { messages: [[say("a")], [say("x".repeat(500))]] }, "input_tokens", /^Conversation 1: /],
  ]
  test.each(refused)("is refused: %s", async (_, body, param, says) => {
    const api = makeApi()
    const { status, json } = await api.post(PATH, { messages: conversations, ...body })
    expect([status, json.error.param]).toEqual([400, param])
    expect(json.error.message).toMatch(says)
    expect(api.fake.core.added).toEqual([])
  })

  test("asks for nothing with values that say nothing", async () => {
    const nothing = { n: 1, stream: false, tool_choice: "none", use_beam_search: false, prompt_logprobs: null }
    expect((await makeApi().post(PATH, { messages: conversations, ...nothing })).status).toBe(200)
  })
})
