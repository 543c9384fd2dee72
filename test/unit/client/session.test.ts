import { describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ApiError } from "../../../src/client/api-client.ts"
import { until } from "../api/harness.ts"
import { makeSession, typing } from "./harness.ts"

const turn = (role: string, text: string) => `<|im_start|>${role}\n${text}<|im_end|>\n`
const OPEN = "<|im_start|>assistant\n"

describe("a chat", () => {
  test("remembers what was said, after its system prompt", async () => {
    const { session, text, lastPrompt } = makeSession({ systemPrompt: "be brief" })
    await session.run(typing("one", "", "two").makeReader)
    expect(text()).toBe("Hello\nHello\n")
    expect(lastPrompt()).toBe(
      turn("system", "be brief") + turn("user", "one") + turn("assistant", "Hello") + turn("user", "two") + OPEN,
    )
  })

  test("takes text over several lines between fences, and a slash that is doubled", async () => {
    const { session, lastPrompt } = makeSession()
    const lines = typing('"""', "a", "b", '"""')
    await session.run(lines.makeReader)
    expect(lastPrompt()).toBe(turn("user", "a\nb") + OPEN)
    expect(lines.prompts).toEqual([">>> ", "... ", "... ", "... ", ">>> "])
    await session.run(typing("/clear", "//etc").makeReader)
    expect(lastPrompt()).toBe(turn("user", "/etc") + OPEN)
  })

  test("that is interrupted stops the answer, keeps what there is of it, and goes on", async () => {
    const { api, session, text } = makeSession({}, { stepMs: null, reply: "abcdef" })
    const asked = session.ask("one")
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.step()
    api.fake.core.step()
    await until(() => text() === "ab", "two tokens")
    expect(session.interrupt()).toBe(true)
    await asked
    expect(text()).toBe("ab\n")
    expect(api.fake.numLive()).toBe(0)
    expect(session.conversation!.messages.at(-1)).toEqual({ role: "assistant", content: "ab" })
    expect(session.interrupt()).toBe(false)
  })

  test("that is refused forgets the question, says why, and goes on", async () => {
    const { session, said, text } = makeSession({ settings: new Map([["temperature", 9]]) })
    await session.run(typing("one", "/set temperature 0", "two").makeReader)
    expect(said[0]).toMatch(/^error: .*temperature.*\(status 400\)/)
    expect(text()).toBe("\nHello\n")
    expect(session.conversation!.messages).toHaveLength(2)
    await expect(makeSession({ model: "other" }).session.ask("x")).rejects.toThrow(ApiError)
  })

  test("tells counts and times where wanted", async () => {
    const { session, said } = makeSession({ stats: true })
    await session.ask("one")
    expect(said).toEqual([expect.stringMatching(/^\d+ prompt tokens, 6 tokens, first after 0\.00 s, 0\.00 s, stop$/)])
  })
})

test("a completion is the text alone, and remembers nothing", async () => {
  const { session, lastPrompt, said } = makeSession({ kind: "complete" })
  await session.run(typing("Once", "/clear", "/help", "upon").makeReader)
  expect(lastPrompt()).toEndWith("upon")
  expect(lastPrompt()).not.toContain("Once")
  expect(said[0]).toBe("there is no command /clear; /help lists them")
  expect(said[1]).not.toContain("/undo")
})

describe("commands", () => {
  test("change what is sent", async () => {
    const { api, session, said } = makeSession()
    const typed = typing("/set max-tokens 3", "/set stop x,y", "/set seed 7", "/set seed", "/show", "hi")
    await session.run(typed.makeReader)
    const { sampling } = api.fake.core.added.at(-1)!
    expect(sampling).toMatchObject({ maxTokens: 3 })
    expect(said).toEqual(["model: fake\nmax_tokens: 3\nstop: x,y\nsystem: none"])
  })

  test("undo, retry and clear what was said", async () => {
    const { session, said, lastPrompt } = makeSession()
    await session.run(typing("one", "two", "/undo", "/retry").makeReader)
    expect(session.conversation!.messages.map(({ content }) => content)).toEqual(["one", "Hello"])
    await session.run(typing("/system sober", "/clear", "/undo", "/retry", "three").makeReader)
    expect(lastPrompt()).toBe(turn("system", "sober") + turn("user", "three") + OPEN)
    expect(said).toEqual(["there is nothing to undo", "there is no question yet"])
  })

  test("save a conversation and go on with it", async () => {
    const dir = mkdtempSync(join(tmpdir(), "baozi-chat-"))
    const path = join(dir, "chat.json")
    const first = makeSession({ systemPrompt: "s" })
    await first.session.run(typing("one", `/save ${path}`).makeReader)
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(first.session.conversation!.messages)
    const second = makeSession()
    await second.session.run(typing(`/load ${path}`).makeReader)
    expect(second.session.conversation!.messages).toEqual(first.session.conversation!.messages)
    writeFileSync(path, '[{"role": "king"}]')
    await second.session.run(typing(`/load ${path}`, `/load ${dir}/absent`).makeReader)
    expect(second.said).toEqual(["not a list of messages", expect.stringContaining("absent")])
    expect(second.session.conversation!.messages).toHaveLength(3)
    rmSync(dir, { recursive: true })
  })

  test("that are none, or say nothing sensible, are told", async () => {
    const { session, said, api } = makeSession()
    await session.run(typing("/sing", "/set tempo 3", "/set top_p x", "/exit", "never asked").makeReader)
    expect(said).toEqual([
      "there is no command /sing; /help lists them", expect.stringContaining("no setting is called tempo; there are"),
      'top_p cannot be "x"',
    ])
    expect(api.fake.core.added).toEqual([])
  })
})
