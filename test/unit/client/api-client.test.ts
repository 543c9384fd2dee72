import { describe, expect, test } from "bun:test"
import { writeAnswer } from "../../../src/client/answer.ts"
import { ApiClient } from "../../../src/client/api-client.ts"
import { sseData } from "../../../src/client/sse-data.ts"
import { withSetting } from "../../../src/client/settings.ts"

function bytes(...parts: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(encoder.encode(part))
      controller.close()
    },
  })
}

function answering(response: () => Response, requests: Request[] = []) {
  const fetch = async (request: Request) => (requests.push(request), response())
  return new ApiClient({ baseUrl: "http://elsewhere/v1", apiKey: "key", fetch })
}

async function pieces(client: ApiClient) {
  const stream = client.chat("m", [{ role: "user", content: "hi" }], new Map(), new AbortController().signal)
  const all = []
  for (;;) {
    const { value, done } = await stream.next()
    if (done === true) return { all, end: value }
    all.push(value)
  }
}

describe("events", () => {
  test("are found however the bytes are cut", async () => {
    const text = ": ping\n\ndata: {\"ä\":1}\r\n\r\nevent: x\ndata:a\ndata: b\n\ndata: [DONE]\n\ndata: late\n\n"
    const raw = new TextEncoder().encode(text)
    for (let size = 1; size < raw.length; size += 3) {
      const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
        start(controller) {
          for (let at = 0; at < raw.length; at += size) controller.enqueue(raw.slice(at, at + size))
          controller.close()
        },
      })
      expect(await Array.fromAsync(sseData(stream))).toEqual(['{"ä":1}', "a\nb"])
    }
  })
})

describe("a server's answer", () => {
  const chunk = (delta: object, more: object = {}) =>
    `data: ${JSON.stringify({ choices: [{ delta, finish_reason: null }], ...more })}\n\n`

  test("is pieces of text and reasoning, and how it ended", async () => {
    const requests: Request[] = []
    const client = answering(() => new Response(bytes(
      chunk({ role: "assistant", content: "" }), chunk({ reasoning: "hm" }), chunk({ reasoning_content: "m" }),
      chunk({ content: "yes" }), 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
      'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n', "data: [DONE]\n\n",
    )), requests)
    expect(await pieces(client)).toEqual({
      all: [{ kind: "reasoning", text: "hm" }, { kind: "reasoning", text: "m" }, { kind: "text", text: "yes" }],
      end: { finishReason: "stop", promptTokens: 3, outputTokens: 2 },
    })
    expect(requests[0]!.url).toBe("http://elsewhere/v1/chat/completions")
    expect(requests[0]!.headers.get("authorization")).toBe("Bearer key")
  })

  test.each<[string, () => Response, RegExp]>([
    ["a refusal", () => Response.json({ error: { message: "long" } }, { status: 400 }), /^long \(status 400\)$/],
    ["vLLM's refusal of a key", () => Response.json({ error: "Unauthorized" }, { status: 401 }), /^Unauthorized \(/],
    ["an unknown path", () => Response.json({ detail: "Not Found" }, { status: 404 }), /^Not Found \(status 404\)$/],
    ["a proxy's page", () => new Response("<html>", { status: 502 }), /^status 502: <html>$/],
    ["an error in the stream", () => new Response(bytes('data: {"error":{"message":"died"}}\n\n')), /^died$/],
    ["nonsense in the stream", () => new Response(bytes("data: {x\n\n")), /something else than JSON: \{x/],
  ])("that is %s is an error in its words", async (_, response, words) => {
    await expect(pieces(answering(response))).rejects.toThrow(words)
  })

  test("that never comes is an error that names the server", async () => {
    const client = answering(() => {
      throw new Error("refused")
    })
    await expect(pieces(client)).rejects.toThrow("cannot reach http://elsewhere/v1: refused")
  })

  test("the first model listed is the one", async () => {
    expect(await answering(() => Response.json({ data: [{ id: "a" }, { id: "b" }] })).firstModel()).toBe("a")
    await expect(answering(() => Response.json({ data: [] })).firstModel()).rejects.toThrow("lists no models")
  })
})

describe("writing", () => {
  async function written(isTerminal: boolean, ...given: { kind: "text" | "reasoning"; text: string }[]) {
    const out: string[] = []
    async function* stream() {
      yield* given
      return { finishReason: "stop", promptTokens: null, outputTokens: null }
    }
    const output = { isTerminal, write: (text: string) => out.push(text), say: () => {}, now: () => 0 }
    const text = await writeAnswer(stream(), output, { stats: false })
    return { out: out.join(""), text }
  }

  test("keeps reasoning apart on a terminal, and out of a pipe", async () => {
    const given = [{ kind: "reasoning", text: "hm" }, { kind: "text", text: "yes\n" }] as const
    expect(await written(true, ...given)).toEqual({ out: "\x1b[2mhm\x1b[0m\n\nyes\n", text: "yes\n" })
    expect(await written(false, ...given)).toEqual({ out: "yes\n", text: "yes\n" })
  })

  test("a model does not drive the terminal", async () => {
    const evil = { kind: "text", text: "a\x1b[2J\x07\tb\r\x9b1mc" } as const
    expect((await written(true, evil)).out).toBe("a[2J\tb1mc\n")
    expect((await written(false, evil)).out).toBe(`${evil.text}\n`)
  })
})

test("settings have types", () => {
  const settings = withSetting(withSetting(new Map(), "top-p", "0.5"), "stop", "a,b")
  expect(Object.fromEntries(settings)).toEqual({ top_p: 0.5, stop: ["a", "b"] })
  expect(() => withSetting(new Map(), "top_k", "1.5")).toThrow('top_k cannot be "1.5"')
})
