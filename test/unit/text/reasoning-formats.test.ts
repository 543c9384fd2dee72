import { describe, expect, test } from "bun:test"
import { beginsWithReasoning, REASONING_FORMATS } from "../../../src/text/answer/reasoning-formats.ts"
import type { ReasoningParserName } from "../../../src/text/answer/reasoning-formats.ts"
import { reasoningMarks, ReasoningTokenCounter } from "../../../src/text/answer/reasoning-tokens.ts"
import { AnswerFormat } from "../../../src/text/answer/answer-format.ts"
import { TOOL_FORMATS } from "../../../src/text/answer/tool-formats.ts"
import { cuts, parseInPieces } from "../../tools/answers.ts"
import type { JoinedAnswer } from "../../tools/answers.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const THOUGHT = "This is a reasoning section"
const REST = "This is the rest"
const both: JoinedAnswer = { reasoning: THOUGHT, content: REST }

const rows: [ReasoningParserName, string, JoinedAnswer][] = [
  ["deepseek_r1", `${THOUGHT}</think>${REST}`, both],
  ["deepseek_r1", `<think>${THOUGHT}</think>${REST}`, both],
  ["deepseek_r1", `${THOUGHT}</think>`, { reasoning: THOUGHT }],
  ["deepseek_r1", `<think>${THOUGHT}`, { reasoning: THOUGHT }],
  ["deepseek_r1", "This\nThat</think>is\nthe rest", { reasoning: "This\nThat", content: "is\nthe rest" }],
  ["deepseek_r1", `</think>${REST}`, { content: REST }],
  ["deepseek_r1", `\n<think>${THOUGHT}</think>\n${REST}`, { reasoning: `\n${THOUGHT}`, content: `\n${REST}` }],
  ["deepseek_r1", `a</think>b</think><think>c`, { reasoning: "a", content: "b</think><think>c" }],
  ["deepseek_r1", "a </thin k> </think", { reasoning: "a </thin k> </think" }],
  ["deepseek_r1", "", {}],
  ["deepseek_v3", `${THOUGHT}</think>${REST}`, { content: `${THOUGHT}</think>${REST}` }],
  ["qwen3", `${THOUGHT}</think>${REST}`, both],
  ["qwen3", `<think>${THOUGHT}</think>${REST}</think>`, both],
  ["qwen3", THOUGHT, { reasoning: THOUGHT }],
  ["mistral", `[THINK]${THOUGHT}[/THINK]${REST}`, both],
  ["mistral", `${THOUGHT}[/THINK]${REST}`, { content: THOUGHT + REST }],
  ["mistral", `[THINK]${THOUGHT}`, { reasoning: THOUGHT }],
  ["mistral", `a[THINK]b[/THINK]c[THINK]d[/THINK]e`, { reasoning: "bd", content: "ace" }],
  ["glm45", `<think>${THOUGHT}</think>${REST}</think>`, both],
  ["kimi_k2", `${THOUGHT}</think>${REST}`, both],
  ["minimax_m2", `${THOUGHT}</think>${REST}`, both],
  ["granite", `Here is my thought process:${THOUGHT}Here is my response:${REST}`, both],
  ["granite", `Here's my thought process:${THOUGHT}Here's my response:${REST}`, both],
  ["granite", `Here's my thought: ${REST}`, { content: `Here's my thought: ${REST}` }],
]

describe("known answers, however they are cut", () => {
  test.each(rows)("%s %j", (reasoning, text, expected) => {
    for (const pieces of cuts(text)) expect(parseInPieces({ reasoning }, pieces)).toEqual(expected)
  })
})

describe("an answer begins as its prompt's last turn ends", () => {
  const cases: [ReasoningParserName, string, object, boolean][] = [
    ["qwen3", "assistant\n", {}, true],
    ["qwen3", "assistant\n", { enable_thinking: false }, false],
    ["qwen3", "assistant\n<think>\n\n</think>\n\n", {}, false],
    ["qwen3", "assistant\n<think>\n", { enable_thinking: false }, true],
    ["deepseek_r1", "<think>a</think>b", {}, false],
    ["deepseek_v3", "", { thinking: true }, true],
    ["deepseek_v3", "", {}, false],
    ["glm45", "<|assistant|>\n", {}, true],
    ["glm45", "<|assistant|>\n", { enable_thinking: false }, false],
    ["kimi_k2", "<|im_middle|>", { thinking: false }, false],
    ["minimax_m2", "ai\n<think>\n", {}, true],
    ["mistral", "[THINK]so far", {}, true],
    ["granite", "", {}, false],
  ]
  test.each(cases)("%s %j %j", (name, lastTurn, variables, expected) => {
    expect(beginsWithReasoning(REASONING_FORMATS[name], lastTurn, variables as Record<string, unknown>)).toBe(expected)
  })
})

describe("tokens of reasoning", () => {
  const tokenizer = new ToyTokenizer()
  const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })
  const count = (name: ReasoningParserName, text: string, begins: boolean, step: number) => {
    const format = new AnswerFormat(REASONING_FORMATS[name], TOOL_FORMATS.hermes)
    const counter = new ReasoningTokenCounter(reasoningMarks(format, tokenizer)!, begins)
    const all = ids(text)
    for (let i = 0; i < all.length; i += step) counter.push(all.slice(i, i + step))
    return counter.count
  }
  const cases: [ReasoningParserName, string, boolean, number][] = [
    ["qwen3", "abc</think>de", true, 3],
    ["qwen3", "<think>abc</think>de", true, 3],
    ["qwen3", "abc <tool_call>de", true, 4],
    ["qwen3", "abc", false, 0],
    ["deepseek_r1", "abc <tool_call>de", true, 17],
    ["mistral", "a[THINK]bc[/THINK]d[THINK]e", false, 3],
  ]
  test.each(cases)("%s %j", (name, text, begins, expected) => {
    for (const step of [1, 2, 100]) expect(count(name, text, begins, step)).toBe(expected)
  })
})
