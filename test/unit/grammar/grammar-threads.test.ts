/** The grammar threads as the rest of the program uses them: real threads, real masks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { GrammarSpec } from "../../../src/core/grammar-spec.ts"
import { GrammarError } from "../../../src/grammar/grammar-error.ts"
import type { GrammarThreads } from "../../../src/grammar/grammar-threads.ts"
import { DEFAULT_GRAMMAR_LIMITS } from "../../../src/grammar/limits.ts"
import type { FromMatcher, ToMatcher } from "../../../src/grammar/protocol.ts"
import { RowStatus, SharedMasks } from "../../../src/grammar/shared-masks.ts"
import { startGrammarThreads } from "../../../src/app/start-grammar-threads.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const EOS = tokenizer.eosTokenId
const IM_END = 256 + 3
const VOCAB_SIZE = tokenizer.vocabSize + 12
const MODEL = { tokenizer, vocabSize: VOCAB_SIZE, stopTokenIds: [EOS] }
const PATIENCE = 30_000

const schemaOf = (schema: unknown): GrammarSpec =>
  ({ kind: "json_schema", schema: JSON.stringify(schema), isCompact: true })
const ids = (text: string) => [...new TextEncoder().encode(text)]

/** The step thread's side of the protocol. */
class Steps {
  readonly masks = new SharedMasks({ rows: 8, vocabSize: VOCAB_SIZE })
  readonly #port: MessagePort
  readonly #messages: FromMatcher[] = []
  #sequence = 0
  #heard: () => void = () => {}

  constructor(threads: GrammarThreads) {
    this.#port = threads.connect({ buffer: this.masks.buffer, rows: 8, vocabSize: VOCAB_SIZE })
    this.#port.onmessage = ({ data }) => {
      this.#messages.push(data as FromMatcher)
      this.#heard()
    }
  }

  send(message: ToMatcher): void {
    this.#port.postMessage(message)
  }

  /** Appends `text`, and returns what each row is after it and after each draft. */
  step(requestId: string, text: string, drafts = ""): RowStatus[] {
    const sequence = ++this.#sequence
    const draftIds = ids(drafts)
    const advances = [{ requestId, tokenIds: ids(text) }]
    this.send({ type: "step", sequence, advances, rows: [{ requestId, row: 1, draftIds }] })
    if (!this.masks.wait(sequence, PATIENCE)) throw new Error("no masks")
    return Array.from({ length: draftIds.length + 1 }, (_, i) => this.masks.status(1 + i))
  }

  /** Which single characters the mask of a row admits; "$" stands for the end of the text. */
  admitted(row: number): string {
    const mask = this.masks.row(row)
    const isIn = (id: number) => ((mask[id >> 5]! >>> (id & 31)) & 1) === 1
    const text = Array.from({ length: 128 }, (_, id) => (isIn(id) ? String.fromCharCode(id) : "")).join("")
    return text + (isIn(EOS) ? "$" : "")
  }

  async message(): Promise<FromMatcher> {
    while (this.#messages.length === 0) await new Promise<void>((resolve) => (this.#heard = resolve))
    return this.#messages.shift()!
  }

  close(): void {
    this.#port.close()
  }
}

let threads: GrammarThreads
let steps: Steps
beforeAll(() => {
  threads = startGrammarThreads(MODEL, DEFAULT_GRAMMAR_LIMITS, () => {})
  steps = new Steps(threads)
})
afterAll(() => {
  steps.close()
  threads.stop()
})

let requests = 0
async function begin(spec: GrammarSpec): Promise<string> {
  const { grammarId } = await threads.compile(spec)
  const requestId = `request-${requests++}`
  steps.send({ type: "start", requestId, grammarId })
  return requestId
}

describe("masks", () => {
  test("follow a text to its end", async () => {
    const id = await begin({ kind: "choice", choices: ["yes", "no", "no way"] })
    expect(steps.step(id, "")).toEqual([RowStatus.masked])
    expect(steps.admitted(1)).toBe("ny")
    steps.step(id, "no")
    expect(steps.admitted(1)).toBe(" $")
    steps.step(id, " way")
    expect(steps.admitted(1)).toBe("$")
    steps.send({ type: "finish", requestId: id })
  })

  test("have a row for each draft that the grammar admits, and none after one that it does not", async () => {
    const id = await begin({ kind: "choice", choices: ["abc", "abd"] })
    const { masked, unreachable } = RowStatus
    expect(steps.step(id, "", "abX")).toEqual([masked, masked, masked, unreachable])
    expect([1, 2, 3].map((row) => steps.admitted(row))).toEqual(["a", "b", "cd"])
    // Drafts did not become part of the text.
    expect(steps.step(id, "ab")).toEqual([RowStatus.masked])
    expect(steps.admitted(1)).toBe("cd")
  })

  test("go back with the text", async () => {
    const id = await begin({ kind: "regex", pattern: "[0-9]{3}-[a-z]" })
    steps.step(id, "123-")
    expect(steps.admitted(1)).toBe("abcdefghijklmnopqrstuvwxyz")
    steps.send({ type: "rollback", requestId: id, count: 2 })
    steps.step(id, "")
    expect(steps.admitted(1)).toBe("0123456789")
  })

  test("admit no special token inside of a JSON string, and no padding anywhere", async () => {
    const id = await begin(schemaOf({ type: "string" }))
    steps.step(id, "\"a")
    const mask = steps.masks.row(1)
    const isIn = (token: number) => ((mask[token >> 5]! >>> (token & 31)) & 1) === 1
    const admitted = Array.from({ length: VOCAB_SIZE }, (_, token) => token).filter(isIn)
    expect(Math.max(...admitted)).toBeLessThan(256)
    expect(steps.admitted(1)).toContain("<")
  })

  test("admit a special token where a tag is made of it", async () => {
    const content = { type: "json_schema", json_schema: { enum: [1] } }
    const tag = { type: "tag", begin: "<|im_end|>", content, end: "!" }
    const id = await begin({ kind: "structural_tag", tag: JSON.stringify({ type: "structural_tag", format: tag }) })
    steps.step(id, "")
    expect((steps.masks.row(1)[IM_END >> 5]! >>> (IM_END & 31)) & 1).toBe(1)
  })

  test("of the old form of a tag begin after its trigger", async () => {
    const tag = { structures: [{ begin: "<f>", schema: { enum: [7] }, end: "</f>" }], triggers: ["<f"] }
    const id = await begin({ kind: "structural_tag", tag: JSON.stringify(tag) })
    steps.step(id, "call <f>")
    expect(steps.admitted(1)).toBe("7")
  })
})

describe("a request", () => {
  test("whose token its grammar does not admit is told, and others go on", async () => {
    const good = await begin({ kind: "choice", choices: ["a"] })
    const bad = await begin({ kind: "choice", choices: ["a"] })
    expect(steps.step(bad, "b")).toEqual([RowStatus.failed])
    expect(await steps.message()).toEqual({
      type: "failed", requestId: bad, words: "token 98 is not one that the grammar admits here",
    })
    expect(steps.step(good, "")).toEqual([RowStatus.masked])
  })

  test("whose text is nested too deep ends, and its thread goes on", async () => {
    const deep = await begin(schemaOf({}))
    expect(steps.step(deep, "[".repeat(1000))).toEqual([RowStatus.masked])
    expect(steps.step(deep, "[")).toEqual([RowStatus.failed])
    const words = "the text is nested more than 1000 deep"
    expect(await steps.message()).toEqual({ type: "failed", requestId: deep, words })
    const other = await begin(schemaOf({}))
    expect(steps.step(other, "[")).toEqual([RowStatus.masked])
  })

  test("hears what its grammar forces", async () => {
    const properties = { city: { type: "string" } }
    const schema = { type: "object", properties, required: ["city"], additionalProperties: false }
    const id = await begin(schemaOf(schema))
    steps.send({ type: "jumpForward", requestId: id })
    expect(await steps.message()).toEqual({ type: "forced", requestId: id, text: "{\"city\":\"" })
  })
})

describe("a grammar", () => {
  const bad: [string, GrammarSpec, string][] = [
    ["EBNF", { kind: "ebnf", grammar: "root ::= nope" }, "Rule \"nope\" is not defined"],
    ["Lark", { kind: "lark", grammar: "start: nope\n" }, "nope"],
    ["a regex", { kind: "regex", pattern: "(" }, "The parenthesis is not closed"],
    ["a long regex", { kind: "regex", pattern: "a".repeat(5000) }, "the regex has 5000 characters; the limit is 4096"],
    ["text that is no JSON", { kind: "json_schema", schema: "{", isCompact: true }, "the schema is not JSON"],
    ["a keyword", schemaOf({ properties: { a: { uniqueItems: true } } }), "\"uniqueItems\" at /properties/a"],
    ["a reference", schemaOf({ $ref: "http://example.com/x" }), "which is outside of the schema"],
    ["depth", schemaOf(JSON.parse("{\"not\":".repeat(70) + "{}" + "}".repeat(70))), "nested 71 deep; the limit is 64"],
    ["a tag", { kind: "structural_tag", tag: "{}" }, "must have \"format\""],
  ]
  test.each(bad)("that is wrong is refused in words: %s", async (_, spec, words) => {
    const error = await threads.compile(spec).then(() => null, (reason: unknown) => reason)
    expect(error).toBeInstanceOf(GrammarError)
    expect((error as Error).message).toContain(words)
  })

  test("is compiled once for all that ask for it", async () => {
    const spec = schemaOf({ enum: ["shared"] })
    const [first, second] = await Promise.all([threads.compile(spec), threads.compile(spec)])
    expect(second.grammarId).toBe(first.grammarId)
    first.release()
    second.release()
    expect((await threads.compile(spec)).grammarId).toBe(first.grammarId)
  })
})

describe("threads", () => {
  test("a grammar that takes too long is given up, and the next one is compiled", async () => {
    const limits = { ...DEFAULT_GRAMMAR_LIMITS, compileSeconds: 0.001 }
    const hasty = startGrammarThreads(MODEL, limits, () => {})
    const compiled = hasty.compile({ kind: "choice", choices: ["a"] })
    await expect(compiled).rejects.toThrow("it takes longer than 0.001 s to compile")
    hasty.stop()
  })

  test("grammars without users go when there is no room for them", async () => {
    const small = startGrammarThreads(MODEL, { ...DEFAULT_GRAMMAR_LIMITS, cacheBytes: 1 }, () => {})
    const spec: GrammarSpec = { kind: "choice", choices: ["a"] }
    const first = await small.compile(spec)
    first.release()
    const second = await small.compile({ kind: "choice", choices: ["b"] })
    const third = await small.compile(spec)
    expect(third.grammarId).not.toBe(first.grammarId)
    second.release()
    small.stop()
  })

  test("one that ends takes its grammars with it, and there is another", async () => {
    let lost = ""
    const mortal = startGrammarThreads(MODEL, DEFAULT_GRAMMAR_LIMITS, (words) => (lost = words))
    const { grammarId } = await mortal.compile({ kind: "choice", choices: ["a"] })
    const own = new Steps(mortal)
    // Memory that is too small for a row: our mistake, which the module does not outlive.
    own.send({ type: "start", requestId: "r", grammarId })
    own.send({ type: "step", sequence: 1, advances: [], rows: [{ requestId: "r", row: 1000, draftIds: [] }] })
    while (lost === "") await new Promise((resolve) => setTimeout(resolve, 5))
    own.close()
    const again = await mortal.compile({ kind: "choice", choices: ["a"] })
    const others = new Steps(mortal)
    others.send({ type: "start", requestId: "s", grammarId: again.grammarId })
    expect(others.step("s", "")).toEqual([RowStatus.masked])
    others.close()
    mortal.stop()
  })
})
