import { describe, expect, test } from "bun:test"
import { namedEvent, OPENAI_SSE, sseResponse } from "../../../src/api/http/sse.ts"
import { RequestError } from "../../../src/base/errors.ts"
import { makeLog } from "../../../src/base/log.ts"
import { readAnswer, until } from "./harness.ts"

const lines: string[] = []
const log = makeLog({ write: (line) => lines.push(line) })

function options(keepAliveMs = 0) {
  return { abort: new AbortController(), dialect: OPENAI_SSE, keepAliveMs, log }
}

async function* after(ms: number, ...steps: (object | Error)[]): AsyncGenerator<object, void, void> {
  for (const step of steps) {
    if (ms > 0) await Bun.sleep(ms)
    if (step instanceof Error) throw step
    yield step
  }
}

describe("events", () => {
  test("have names in other dialects, which say for themselves how they wait, fail and end", async () => {
    const dialect = {
      event: namedEvent, error: () => namedEvent({ type: "error" }), keepAlive: "event: ping\n\n", end: "",
    }
    const events = after(40, { type: "a", x: 1 }, new RequestError("late"))
    const text = await (await sseResponse(events, { ...options(15), dialect })).text()
    expect(text.replace(/(event: ping\n\n)+/g, "event: ping\n\n")).toBe(
      'event: ping\n\nevent: a\ndata: {"type":"a","x":1}\n\n' +
        'event: ping\n\nevent: error\ndata: {"type":"error"}\n\n',
    )
  })

  test("are lines of JSON, with [DONE] last", async () => {
    const response = await sseResponse(after(0, { a: "x\ny" }, { b: 2 }), options())
    expect(await response.text()).toBe('data: {"a":"x\\ny"}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n')
  })

  test("an error at once is thrown, so that it can be a plain answer", async () => {
    await expect(sseResponse(after(0, new RequestError("full", { status: 503 })), options())).rejects.toThrow("full")
  })

  test("a later error is an event before [DONE], and says nothing of our insides", async () => {
    const known = await sseResponse(after(2, { a: 1 }, new RequestError("too late", { param: "x" })), options())
    expect((await readAnswer(known)).events).toEqual([
      { a: 1 }, { error: { message: "too late", type: "BadRequestError", param: "x", code: 400 } }, "[DONE]",
    ])
    const unknown = await sseResponse(after(2, { a: 1 }, new TypeError("x is undefined")), options())
    expect((await readAnswer(unknown)).events[1]).toEqual({
      error: { message: "Internal server error.", type: "InternalServerError", param: null, code: 500 },
    })
    expect(lines.join("\n")).toContain("x is undefined")
  })

  test("a quiet stream is kept alive by comments", async () => {
    const text = await (await sseResponse(after(60, { a: 1 }), options(20))).text()
    expect(text).toMatch(/^(: keep-alive\n\n){1,3}data: \{"a":1\}\n\ndata: \[DONE\]\n\n$/)
  })

  test("nothing is produced ahead of the reader", async () => {
    let numMade = 0
    async function* endless(): AsyncGenerator<object, void, void> {
      for (;;) yield { number: numMade++ }
    }
    const reader = (await sseResponse(endless(), options())).body!.getReader()
    for (let i = 0; i < 5; i++) await reader.read()
    await Bun.sleep(10)
    expect(numMade).toBeLessThanOrEqual(6)
    await reader.cancel()
  })

  test("cancelling aborts and ends the generator, also while it waits", async () => {
    const given = options()
    let hasEnded = false
    async function* waiting(): AsyncGenerator<object, void, void> {
      try {
        yield { a: 1 }
        await new Promise<void>((resolve) => given.abort.signal.addEventListener("abort", () => resolve()))
      } finally {
        hasEnded = true
      }
    }
    const reader = (await sseResponse(waiting(), given)).body!.getReader()
    await reader.read()
    const next = reader.read()
    await reader.cancel()
    await next
    expect(given.abort.signal.aborted).toBe(true)
    await until(() => hasEnded, "the generator to end")
  })
})
