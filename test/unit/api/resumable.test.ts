import { describe, expect, test } from "bun:test"
import { makeApi, readEvents, until } from "./harness.ts"
import type { Api, ApiSetup } from "./harness.ts"

const REPLY = "The quick brown fox jumps over the lazy dog.<|eos|>"
const ASK = { prompt: "x", stream: true, max_tokens: 200, stream_options: { resumable: true } }

function setUp(options: ApiSetup = {}): Api {
  return makeApi({ reply: REPLY, stepMs: null, ...options })
}

/** A connection: its answer is read as far as asked, and it may break. */
class Connection {
  readonly #abort = new AbortController()
  readonly #response: Promise<Response>
  #chunks: AsyncIterator<Uint8Array> | null = null
  text = ""

  constructor(
    api: Api, init: { method?: string; path?: string; body?: object; headers?: Record<string, string> } = {},
  ) {
    const { method = "POST", path = "/v1/completions", body = ASK, headers = {} } = init
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: { "content-type": "application/json", ...headers },
      signal: this.#abort.signal,
      ...(method === "GET" ? {} : { body: JSON.stringify(body) }),
    })
    this.#response = api.app.handle(request)
  }

  async status(): Promise<number> {
    return (await this.#response).status
  }

  /** Reads one more event; false at the end. */
  async read(): Promise<boolean> {
    this.#chunks ??= (await this.#response).body![Symbol.asyncIterator]()
    const { done, value } = await this.#chunks.next()
    if (done !== true) this.text += new TextDecoder().decode(value)
    return done !== true
  }

  async readAll(): Promise<string> {
    while (await this.read()) continue
    return this.text
  }

  async break(): Promise<void> {
    this.#abort.abort()
    await this.#chunks?.return?.()
  }

  get lastId(): string {
    return [...this.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? ""
  }

  get answer(): string {
    return readEvents(this.text.replaceAll(/^id: .*\n/gm, "")).map((event) => event.choices?.[0]?.text ?? "").join("")
  }
}

describe("a resumable stream", () => {
  test("has an id on every event; another has none", async () => {
    const api = setUp({ stepMs: 0 })
    const text = await new Connection(api).readAll()
    const ids = [...text.matchAll(/^id: ([0-9a-f]{32})-(\d+)\ndata: /gm)]
    expect(ids.map(([, , number]) => Number(number))).toEqual(ids.map((_, i) => i))
    expect(ids.length).toBe(text.match(/^data: /gm)!.length)
    const plain = await new Connection(api, { body: { ...ASK, stream_options: { include_usage: true } } }).readAll()
    expect(plain).not.toContain("id: ")
  })

  test("goes on where the client left it, though its connection was gone", async () => {
    const api = setUp()
    const first = new Connection(api)
    await until(() => api.fake.numLive() === 1, "the request")
    for (let step = 0; step < 3; step++) {
      api.fake.core.step()
      await first.read()
    }
    // An event that was sent and never arrived.
    const seen = first.lastId
    api.fake.core.step()
    await first.read()
    await first.break()
    expect(api.fake.numLive()).toBe(1)
    while (api.fake.numLive() > 0) api.fake.core.step()

    const second = new Connection(api, { headers: { "last-event-id": seen } })
    await second.readAll()
    expect(first.answer.slice(0, 3) + second.answer).toBe("The quick brown fox jumps over the lazy dog.")
    expect(second.text).toEndWith("data: [DONE]\n\n")
    expect(second.text.match(/^data: /gm)!.length).toBeLessThan(6)
  })

  test("can be read again by GET, also after its end", async () => {
    const api = setUp({ stepMs: 0 })
    const first = new Connection(api)
    await first.readAll()
    const [id] = first.lastId.split("-")
    const whole = new Connection(api, { method: "GET", path: `/v1/streams?last_event_id=${id}` })
    expect(await whole.readAll()).toBe(first.text)
    const nothing = new Connection(api, { method: "GET", path: `/v1/streams?last_event_id=${first.lastId}` })
    expect(await nothing.readAll()).toBe("")
  })

  test("has one reader: the newest", async () => {
    const api = setUp()
    const first = new Connection(api)
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.step()
    await first.read()
    const waiting = first.readAll()
    const second = new Connection(api, { headers: { "last-event-id": first.lastId } })
    expect(await second.status()).toBe(200)
    const rest = second.readAll()
    await waiting
    while (api.fake.numLive() > 0) api.fake.core.step()
    await rest
    expect(first.text).not.toContain("[DONE]")
    expect(first.answer + second.answer).toBe("The quick brown fox jumps over the lazy dog.")
  })

  test("is aborted when nobody comes back in time", async () => {
    const api = setUp({ api: { streamResume: { seconds: 0.05, bytes: 1000 } } })
    const first = new Connection(api)
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.step()
    await first.read()
    await first.break()
    await Bun.sleep(10)
    expect(api.fake.numLive()).toBe(1)
    await until(() => api.fake.numLive() === 0, "the abort")
    expect(api.fake.engine.numUnfinished()).toBe(0)
    const late = new Connection(api, { headers: { "last-event-id": first.lastId } })
    expect(await late.status()).toBe(404)
  })

  test("keeps no more than it may", async () => {
    const api = setUp({ reply: "abc", stepMs: 0, api: { streamResume: { seconds: 30, bytes: 1000 } } })
    const first = new Connection(api)
    await first.readAll()
    const [id = ""] = first.lastId.split("-")
    const resume = (number: number) => new Connection(api, { headers: { "last-event-id": `${id}-${number}` } })
    expect(await resume(0).status()).toBe(404)
    const tail = resume(Number(first.lastId.split("-")[1]) - 2)
    const text = await tail.readAll()
    expect(first.text).toEndWith(text)
    expect(text.length).toBeLessThanOrEqual(1000)
  })

  test("is nobody else's", async () => {
    const api = setUp({ stepMs: 0, api: { apiKeys: ["mine", "yours"] } })
    const mine = { authorization: "Bearer mine" }
    const first = new Connection(api, { headers: mine })
    await first.readAll()
    const id = { "last-event-id": first.lastId.replace(/-.*/, "-0") }
    expect(await new Connection(api, { headers: { ...id, authorization: "Bearer yours" } }).status()).toBe(404)
    expect(await new Connection(api, { headers: { ...id, ...mine } }).status()).toBe(200)
  })

  test("is refused where none is kept, and unknown ids are", async () => {
    const off = setUp({ api: { streamResume: { seconds: 0, bytes: 1000 } } })
    expect((await off.post("/v1/completions", ASK)).json.error).toMatchObject({
      code: 400, param: "stream_options.resumable",
    })
    for (const id of ["", "nonsense", `${"a".repeat(32)}-1`, `${"a".repeat(32)}-99999999999999999999`]) {
      const answer = await off.send("GET", `/v1/streams?last_event_id=${encodeURIComponent(id)}`)
      expect(answer.status).toBe(404)
      expect(answer.json.error.param).toBe("Last-Event-ID")
    }
  })
})
