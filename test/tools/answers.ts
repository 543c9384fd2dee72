/** Runs texts through an answer's parser, in pieces, and joins what comes out. */
import { AnswerFormat } from "../../src/text/answer/answer-format.ts"
import { AnswerParser } from "../../src/text/answer/answer-parser.ts"
import type { AnswerPart } from "../../src/text/answer/answer-part.ts"
import { REASONING_FORMATS, type ReasoningParserName } from "../../src/text/answer/reasoning-formats.ts"
import { TOOL_FORMATS, type ToolParserName } from "../../src/text/answer/tool-formats.ts"
import type { ToolSchemas } from "../../src/text/answer/tool-format.ts"

export interface AnswerSetup {
  readonly reasoning?: ReasoningParserName | null
  readonly tools?: ToolParserName | null
  readonly beginsWithReasoning?: boolean
  readonly schemas?: ToolSchemas
}

/** Without reasoning, content or calls their keys are missing. */
export interface JoinedAnswer {
  reasoning?: string
  content?: string
  calls?: [name: string, json: string][]
}

export function formatFor({ reasoning, tools }: AnswerSetup): AnswerFormat {
  return new AnswerFormat(reasoning ? REASONING_FORMATS[reasoning] : null, tools ? TOOL_FORMATS[tools] : null)
}

export function parserFor(setup: AnswerSetup, format = formatFor(setup)): AnswerParser {
  return new AnswerParser(format, {
    beginsWithReasoning: setup.beginsWithReasoning ?? format.reasoning?.beginsWithReasoning({}) ?? false,
    tools: setup.schemas ?? new Map(),
  })
}

export function joinParts(parts: readonly AnswerPart[]): JoinedAnswer {
  const joined: JoinedAnswer = {}
  for (const part of parts) {
    if (part.type === "call") (joined.calls ??= []).push([part.name, ""])
    else if (part.type === "arguments") joined.calls![part.index]![1] += part.text
    else joined[part.type] = (joined[part.type] ?? "") + part.text
  }
  return joined
}

export function parseInPieces(setup: AnswerSetup, pieces: readonly string[]): JoinedAnswer {
  const parser = parserFor(setup)
  return joinParts([...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()])
}

/** A whole answer as it is told where nothing of it has been given out: with calls that cannot be run as text. */
export function parseWhole(setup: AnswerSetup, text: string): JoinedAnswer {
  const parser = parserFor(setup)
  const parts = [...parser.push(text), ...parser.end()]
  if (parser.firstBrokenCall === null) return joinParts(parts)
  const raw = parserFor(setup, formatFor(setup).withRawCalls)
  return joinParts([...raw.push(text), ...raw.end()])
}

/** Every way to cut `text` in two, the text whole, and each character alone. */
export function cuts(text: string): string[][] {
  const characters = [...text]
  const pairs = characters.map((_, i) => [characters.slice(0, i).join(""), characters.slice(i).join("")])
  return [[text], characters, ...pairs]
}
