/** Grammars of tool calls and of answers behind reasoning: which texts they admit, by xgrammar itself. */
import { describe, expect, test } from "bun:test"
import { XGrammar } from "xgrammar-wasm"
import { readGrammarModule } from "../../../src/base/embedded.ts"
import type { GrammarSpec } from "../../../src/core/grammar-spec.ts"
import { GrammarError } from "../../../src/grammar/grammar-error.ts"
import { GrammarStore } from "../../../src/grammar/grammar-store.ts"
import { sourceOf } from "../../../src/grammar/source.ts"
import { readVocabulary } from "../../../src/grammar/vocabulary.ts"
import { AnswerFormat } from "../../../src/text/answer/answer-format.ts"
import { AnswerParser } from "../../../src/text/answer/answer-parser.ts"
import { checkedCalls, forcedCalls, type CallableTool, type TagFormat } from "../../../src/text/answer/forced-calls.ts"
import type { ToolFormat } from "../../../src/text/answer/tool-format.ts"
import { GENERIC_CALLS, TOOL_FORMATS } from "../../../src/text/answer/tool-formats.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const EOS = tokenizer.eosTokenId
const vocabulary = readVocabulary(tokenizer, { vocabSize: tokenizer.vocabSize, stopTokenIds: [EOS] })
const xgrammar = await XGrammar.instantiate(await WebAssembly.compile(readGrammarModule()))
const store = new GrammarStore(xgrammar, vocabulary, 1 << 26)

const asSpec = (format: TagFormat): GrammarSpec =>
  ({ kind: "structural_tag", tag: JSON.stringify({ type: "structural_tag", format }) })

/** whole: the text may end here. part: it may go on. none: it is not admitted. */
function admits(spec: GrammarSpec, text: string): "whole" | "part" | "none" {
  using grammar = store.compile(sourceOf(spec))
  using matcher = grammar.matcher()
  for (const byte of new TextEncoder().encode(text)) if (!matcher.accept(byte)) return "none"
  return matcher.accept(EOS) ? "whole" : "part"
}

const add: CallableTool = {
  name: "add", path: "tools[0].function.parameters",
  parameters: {
    type: "object", properties: { a: { type: "integer" }, b: { enum: ["x", "}"] } }, required: ["a"],
    additionalProperties: false,
  },
}
const now: CallableTool = {
  name: "say \"now\"", path: "tools[1].function.parameters",
  parameters: { type: "object", additionalProperties: false },
}
const TOOLS = [add, now]
const call = (name: string, args: Readonly<Record<string, unknown>>) => ({ name, arguments: args })

const FORMATS: readonly (readonly [string, ToolFormat])[] =
  [...Object.entries(TOOL_FORMATS), ["generic", GENERIC_CALLS] as const]
const SHAPED = FORMATS.flatMap(([name, format]) =>
  (format.shape === null ? [] : [[name, format, format.shape] as const]))
const TRIGGERED = SHAPED.filter(([, , { trigger }]) => trigger !== null)

test("formats without a grammar are those whose arguments are no JSON", () => {
  const without = FORMATS.filter(([, { shape }]) => shape === null).map(([name]) => name)
  expect(without).toEqual([
    "functiongemma", "gemma4", "glm45", "glm47", "minimax_m2", "pythonic", "qwen3_coder", "qwen3_xml",
  ])
})

describe.each(SHAPED)("calls that have to be made, %s", (_, format, shape) => {
  const good = call("add", { a: 1, b: "}" })

  test("are written as the format's own", () => {
    const spec = asSpec(forcedCalls(shape, TOOLS, true))
    expect(admits(spec, format.write([good]))).toBe("whole")
    expect(admits(spec, format.write([good, call("say \"now\"", {}), good]))).toBe("whole")
    expect(admits(spec, format.write([good]).slice(0, -1))).toBe("part")
  })

  test("are nothing but calls, at least one, of these tools, with their arguments", () => {
    const spec = asSpec(forcedCalls(shape, TOOLS, true))
    expect(admits(spec, "")).toBe("part")
    for (const text of [
      "Sure.", format.write([call("sub", { a: 1 })]), format.write([call("add", {})]),
      format.write([call("add", { a: "1" })]), format.write([call("add", { a: 1, c: 2 })]),
      `${format.write([good])} OK`,
    ]) expect([text, admits(spec, text)]).toEqual([text, "none"])
  })

  test("are one where they may not be parallel", () => {
    const spec = asSpec(forcedCalls(shape, TOOLS, false))
    expect(admits(spec, format.write([good]))).toBe("whole")
    expect(admits(spec, format.write([good, good]))).toBe("none")
  })

  test("are read again by the format's parser", () => {
    const parser = new AnswerParser(new AnswerFormat(null, format), { beginsWithReasoning: false, tools: new Map() })
    const parts = [...parser.push(format.write([good, call("say \"now\"", {})])), ...parser.end()]
    const names = parts.flatMap((part) => (part.type === "call" ? [part.name] : []))
    const texts = names.map((_name, i) =>
      parts.map((part) => (part.type === "arguments" && part.index === i ? part.text : "")).join(""))
    expect([names, texts.map((text) => JSON.parse(text))]).toEqual([["add", "say \"now\""], [{ a: 1, b: "}" }, {}]])
    expect(parts.filter(({ type }) => type === "content")).toEqual([])
  })
})

describe.each(TRIGGERED)("calls that may be made, %s", (_, format, shape) => {
  const spec = asSpec(checkedCalls(shape, TOOLS, true)!)

  test("stand in free text, and have their tools' arguments", () => {
    const good = format.write([call("add", { a: 1 })])
    for (const text of ["", "No {call} [here].", good, `I add.\n${good}`])
      expect([text, admits(spec, text)]).toEqual([text, "whole"])
    for (const bad of [call("add", { a: "1" }), call("sub", {})])
      expect(admits(spec, format.write([bad]))).toBe("none")
  })
})

test("a schema that cannot be enforced is named by its tool", () => {
  const tool: CallableTool = { ...add, parameters: { type: "object", properties: { a: { $ref: "http://x/y" } } } }
  const spec = asSpec(forcedCalls(GENERIC_CALLS.shape, [now, tool], true))
  expect(() => sourceOf(spec)).toThrow(GrammarError)
  expect(() => sourceOf(spec)).toThrow(/^tools\[0\]\.function\.parameters: JSON schema: .*\$ref/)
})

describe("an answer behind reasoning", () => {
  const answers: readonly (readonly [string, GrammarSpec, string, string])[] = [
    ["JSON", { kind: "json_schema", schema: '{"type": "integer"}', isCompact: true }, "12", "x"],
    ["any object", { kind: "json_object", isCompact: true }, "{\"a\":1}", "1"],
    ["a regex", { kind: "regex", pattern: "[ab]{2}" }, "ab", "abc"],
    ["a choice", { kind: "choice", choices: ["red", "green"] }, "red", "blue"],
    ["EBNF", { kind: "ebnf", grammar: "root ::= \"no\" | x\nx ::= [0-9]" }, "7", "77"],
    ["a structural tag", asSpec(forcedCalls(GENERIC_CALLS.shape, [now], false)),
      GENERIC_CALLS.write([call("say \"now\"", {})]), "[]"],
  ]
  const inside = { kind: "after_reasoning", starts: null, ends: ["</think>"] } as const
  const optional = { kind: "after_reasoning", starts: ["<think>", "[T]"], ends: ["</think>", "[/T]"] } as const

  test.each(answers)("%s follows the end of reasoning that the prompt opened", (_, answer, right, wrong) => {
    const spec: GrammarSpec = { ...inside, answer }
    expect(admits(spec, `I wonder < </thin k>\n.</think>${right}`)).toBe("whole")
    expect(admits(spec, `I wonder</think>${wrong}`)).toBe("none")
    expect(admits(spec, "I wonder")).toBe("part")
    expect(admits(spec, "")).toBe("part")
  })

  test.each(answers)("%s may come with reasoning, or without", (_, answer, right, wrong) => {
    const spec: GrammarSpec = { ...optional, answer }
    const texts = (all: readonly string[]) => all.map((text) => admits(spec, text))
    expect(texts([right, `<think>hm</think>${right}`, `[T]hm[/T]${right}`])).toEqual(["whole", "whole", "whole"])
    expect(texts([wrong, `<think>hm</think>${wrong}`, `hm</think>${right}`])).toEqual(["none", "none", "none"])
  })

  test("cannot be Lark, and says so", () => {
    const answer: GrammarSpec = { kind: "lark", grammar: "start: \"a\"" }
    expect(() => sourceOf({ ...inside, answer })).toThrow("a lark grammar cannot follow reasoning: give it as EBNF")
  })
})
