/**
 * An answer's parts do not depend on how its text came: for every pair of parsers, random texts made of all their
 * markers give at every split what they give at once, and nothing is lost that no format drops.
 */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { REASONING_PARSERS } from "../../../src/text/answer/reasoning-formats.ts"
import { TOOL_PARSERS } from "../../../src/text/answer/tool-formats.ts"
import { formatFor, joinParts, parseInPieces, parserFor } from "../../tools/answers.ts"
import type { AnswerSetup } from "../../tools/answers.ts"

const MARKERS = [
  "<think>", "</think>", "[THINK]", "[/THINK]", "Here is my thought process:", "Here's my response:", "<tool_call>",
  "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "<function=", "</function>", "<parameter=",
  "</parameter>",
]
const CALLS = [
  "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>\"}}</tool_call>",
  "[TOOL_CALLS]f[ARGS]{\"a\": 1}",
  "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": []}, {\"name\": \"g\"}]", "{\"name\": \"f\", \"parameters\": {}}",
  "<function=f>\n<parameter=a>\n12\n</parameter><parameter=x>\ny</parameter>\n</function>", "[f(a=1, x='y'), g()]",
]
const FRAGMENTS = [
  "{\"name\": \"f\", \"arguments\": {\"a\": [1, \"}\"]}}", "{\"name\": \"g\"}", "{\"arguments\": {}, \"name\": \"h\"}",
  "{\"name\": ",
  "f{\"a\": 1}", "f", "a>", "\"", "\\", "{", "}", "[", "]", "(", ")", ",", ";", "=", ": ", "'", "[f(a='x', b=[1])]",
  "[g()]", "x=1", "\n", " ", "\n\n", "é", "😀", "<", "text", "1",
]
/** Whole markers, parts of them, and what calls are made of. */
const piece = fc.oneof(
  fc.constantFrom(...MARKERS),
  fc.constantFrom(...MARKERS).chain((marker) =>
    fc.tuple(fc.nat(marker.length), fc.nat(marker.length))
      .map(([a, b]) => marker.slice(Math.min(a, b), Math.max(a, b)))),
  fc.constantFrom(...FRAGMENTS),
  // Calls, whole or cut off.
  {
    arbitrary: fc.constantFrom(...CALLS).chain((call) => fc.nat(call.length * 2).map((end) => call.slice(0, end))),
    weight: 2,
  },
)
const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""))

const schemas = new Map([["f", { properties: { a: { type: "integer" }, x: { type: "string" } } }]])
const setup: fc.Arbitrary<AnswerSetup> = fc.record({
  reasoning: fc.constantFrom(null, ...REASONING_PARSERS),
  tools: fc.constantFrom(null, ...TOOL_PARSERS),
  beginsWithReasoning: fc.boolean(),
  schemas: fc.constant(schemas),
}).map((each) => ({ ...each, beginsWithReasoning: each.beginsWithReasoning && each.reasoning !== null }))

/** `text` cut behind as many characters as `sizes` say, repeated. */
function cut(text: string, sizes: readonly number[]): string[] {
  const characters = [...text]
  const pieces: string[] = []
  for (let at = 0, i = 0; at < characters.length; i++) {
    const size = sizes[i % sizes.length]!
    pieces.push(characters.slice(at, at + size).join(""))
    at += size
  }
  return pieces
}

test("a text gives the same parts however it is cut", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(setup, text, sizes, (each, whole, pieces) => {
      const atOnce = parseInPieces(each, [whole])
      for (const way of [cut(whole, pieces), [...whole]]) expect(parseInPieces(each, way)).toEqual(atOnce)
    }),
    { numRuns: 6000 },
  )
})

test("what has been given out stays, and is well formed", () => {
  fc.assert(
    fc.property(setup, text, (each, whole) => {
      const parser = parserFor(each)
      const parts = [...whole].flatMap((character) => parser.push(character))
      const early = joinParts(parts)
      const all = joinParts([...parts, ...parser.end()])
      expect((all.reasoning ?? "").startsWith(early.reasoning ?? "")).toBe(true)
      expect((all.content ?? "").startsWith(early.content ?? "")).toBe(true)
      expect(JSON.stringify(all).isWellFormed()).toBe(true)
      expect((all.calls ?? []).length).toBe(parser.numCalls)
      for (const [name] of all.calls ?? []) expect(name).not.toBe("")
    }),
    { numRuns: 2000 },
  )
})

const MARKS = ["<think>", "</think>", "[THINK]", "[/THINK]", "Here is my thought process:", "Here's my response:"]

/** Whether `kept` is `whole` with nothing but marks left out. */
function lacksOnlyMarks(whole: string, kept: string): boolean {
  const reached = new Map([[0, new Set([0])]])
  for (let at = 0; at < whole.length; at++) {
    for (const numKept of reached.get(at) ?? []) {
      const mark = MARKS.find((each) => whole.startsWith(each, at))
      const steps = [mark === undefined ? null : [at + mark.length, numKept] as const,
        whole[at] === kept[numKept] ? [at + 1, numKept + 1] as const : null]
      for (const step of steps) {
        if (step === null) continue
        const [to, count] = step
        reached.set(to, (reached.get(to) ?? new Set()).add(count))
      }
    }
  }
  return reached.get(whole.length)?.has(kept.length) ?? false
}

test("without calls nothing is lost but marks of reasoning", () => {
  fc.assert(
    fc.property(setup, text, (each, whole) => {
      const parser = parserFor(each)
      const parts = [...parser.push(whole), ...parser.end()]
      fc.pre(parser.numCalls === 0)
      const kept = parts.map((part) => ("text" in part ? part.text : "")).join("")
      if (each.reasoning === null) expect(kept).toBe(whole)
      // With tools white space may wait for what comes behind a thought.
      else if (each.tools === null) expect(lacksOnlyMarks(whole, kept)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test("with its calls as text a text loses nothing but marks of reasoning", () => {
  fc.assert(
    fc.property(setup, text, (each, whole) => {
      const parser = parserFor(each, formatFor(each).withRawCalls)
      const parts = [...[...whole].flatMap((character) => parser.push(character)), ...parser.end()]
      expect(parser.numCalls).toBe(0)
      expect(lacksOnlyMarks(whole, parts.map((part) => ("text" in part ? part.text : "")).join(""))).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
