/** The Responses API through the `openai` client, against the compiled executable. */
import { describe, expect, test } from "bun:test"
import OpenAI from "openai"
import { defaultModel } from "./models.ts"
import { metric, serving, until } from "./serving.ts"

const { skip, server } = serving(defaultModel(), ["--served-model-name", "smollm2", "--block-size", "16"])
const client = (): OpenAI => new OpenAI({ baseURL: `${server().url}/v1`, apiKey: "none", maxRetries: 0 })
const body = { model: "smollm2", input: "What is the capital of France?", temperature: 0 }

describe.skipIf(skip)("responses of the openai client", () => {
  test("are made, found again and deleted", async () => {
    const response = await client().responses.create({ ...body, metadata: { k: "v" } })
    expect(response.output_text).toBe("The capital of France is Paris.")
    expect(response).toMatchObject({ status: "completed", metadata: { k: "v" }, usage: { output_tokens: 8 } })
    expect((await client().responses.retrieve(response.id)).output_text).toBe(response.output_text)
    await client().responses.delete(response.id)
    await expect((async () => await client().responses.retrieve(response.id))())
      .rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  test("stream, through the client's own accumulator", async () => {
    const stream = client().responses.stream(body)
    let text = ""
    stream.on("response.output_text.delta", ({ delta }) => (text += delta))
    const response = await stream.finalResponse()
    expect([text, response.output_text]).toEqual(Array(2).fill("The capital of France is Paris."))
  })

  test("are gone on from, and see their prefix cached", async () => {
    const first = await client().responses.create({ ...body, input: `${"Paris is a city. ".repeat(10)} Which city?` })
    const next = await client().responses.create({ ...body, input: "And why?", previous_response_id: first.id })
    expect(next.previous_response_id).toBe(first.id)
    expect(next.usage!.input_tokens).toBeGreaterThan(first.usage!.total_tokens)
    expect(next.usage!.input_tokens_details.cached_tokens).toBeGreaterThan(0)
  })

  test("list what they were made from, page by page, and have their tokens counted before", async () => {
    const input = [1, 2, 3].map((i) => ({ role: "user" as const, content: `Number ${i}.` }))
    const counted = await client().responses.inputTokens.count({ model: body.model, input })
    const response = await client().responses.create({ ...body, input })
    expect(counted).toEqual({ object: "response.input_tokens", input_tokens: response.usage!.input_tokens })
    const texts: unknown[] = []
    for await (const item of client().responses.inputItems.list(response.id, { limit: 2, order: "asc" })) {
      if (item.type === "message") texts.push(item.content[0])
    }
    expect(texts).toEqual(input.map(({ content }) => ({ type: "input_text", text: content })))
  })

  test("are cut short with a reason", async () => {
    const response = await client().responses.create({ ...body, max_output_tokens: 2 })
    expect(response).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
  })

  test("in the background are polled, cancelled, and read again from the middle", async () => {
    const background = { ...body, background: true }
    let polled = await client().responses.create(background)
    expect(["queued", "in_progress", "completed"]).toContain(polled.status!)
    await until("the response", async () => {
      polled = await client().responses.retrieve(polled.id)
      return polled.status === "completed"
    })
    expect(polled.output_text).toBe("The capital of France is Paris.")

    const long = { ...background, max_output_tokens: 4000, ignore_eos: true }
    const { id } = await client().responses.create(long)
    expect((await client().responses.cancel(id)).status).toBe("cancelled")
    await until("the request to end", async () => (await metric(server(), "vllm:num_requests_running")) === 0)

    const stream = await client().responses.create({ ...background, stream: true })
    let name = ""
    let left = -1
    for await (const event of stream) {
      if (event.type === "response.created") name = event.response.id
      left = event.sequence_number
      if (event.type === "response.output_text.delta") break
    }
    const again = await client().responses.retrieve(name, { stream: true, starting_after: left })
    const rest: string[] = []
    let text = ""
    for await (const event of again) {
      rest.push(event.type)
      expect(event.sequence_number).toBe(++left)
      if (event.type === "response.completed") text = event.response.output.map((item) => JSON.stringify(item)).join()
    }
    expect(rest.at(-1)).toBe("response.completed")
    expect(text).toContain("The capital of France is Paris.")
  })
})
