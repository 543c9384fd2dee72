/** What this server's parsers make of answers: made once, from its flags and the model's vocabulary. */
import { AnswerFormat } from "../../text/answer/answer-format.ts"
import { REASONING_FORMATS, type ReasoningParserName } from "../../text/answer/reasoning-formats.ts"
import { reasoningMarks, type ReasoningMarks } from "../../text/answer/reasoning-tokens.ts"
import { GENERIC_CALLS, TOOL_FORMATS, type ToolParserName } from "../../text/answer/tool-formats.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"

export interface ParserNames {
  /** Null: reasoning stays in the text. */
  readonly reasoningParser: ReasoningParserName | null
  /** Null: tool calls stay in the text, and a request that lets the model call tools is refused. */
  readonly toolParser: ToolParserName | null
}

export interface AnswerKind {
  readonly format: AnswerFormat
  /** Markers that are special tokens, which are part of the text then. */
  readonly keptTokenIds: readonly number[]
  readonly marks: ReasoningMarks | null
}

export interface AnswerKinds {
  /** Where the model may call tools. Null where nothing is parsed. */
  readonly withTools: AnswerKind | null
  readonly withoutTools: AnswerKind | null
  /** Where the model has to call one, in a form that a grammar describes. */
  readonly forcedCalls: AnswerKind
}

export function answerKinds({ reasoningParser, toolParser }: ParserNames, tokenizer: Tokenizer): AnswerKinds {
  const reasoning = reasoningParser === null ? null : REASONING_FORMATS[reasoningParser]
  const tools = toolParser === null ? null : TOOL_FORMATS[toolParser]
  const withoutTools = reasoning === null ? null : answerKind(new AnswerFormat(reasoning, null), tokenizer)
  const withTools = tools === null ? withoutTools : answerKind(new AnswerFormat(reasoning, tools), tokenizer)
  const forced = tools?.shape ? withTools : null
  const forcedCalls = forced ?? answerKind(new AnswerFormat(reasoning, GENERIC_CALLS), tokenizer)
  return { withTools, withoutTools, forcedCalls }
}

function answerKind(format: AnswerFormat, tokenizer: Tokenizer): AnswerKind {
  const ids = format.markers.map((marker) => tokenizer.tokenId(marker))
  const keptTokenIds = ids.filter((id) => id !== null).filter((id) => tokenizer.isSpecial(id))
  return { format, keptTokenIds, marks: reasoningMarks(format, tokenizer) }
}
