/** Which tools a chat request offers, and whether the model may call them. */
import { RequestError } from "../../base/errors.ts"
import type { GrammarSpec } from "../../core/grammar-spec.ts"
import { checkedCalls, forcedCalls, type CallableTool, type TagFormat } from "../../text/answer/forced-calls.ts"
import type { ToolFormat } from "../../text/answer/tool-format.ts"
import { GENERIC_CALLS, TOOL_FORMATS } from "../../text/answer/tool-formats.ts"
import type { ApiContext } from "../context.ts"
import { isRecord } from "../schema/coerce.ts"
import type { ChatRequest } from "../schema/chat.ts"
import type { Tools } from "../schema/messages.ts"

export interface ToolPlan {
  /** What the template is to show; null shows nothing. */
  readonly shown: Tools | null
  /** Calls are parsed where the model makes some. */
  readonly areParsed: boolean
  /** The answer is a call, or calls: of any tool, or of the one that the request named. */
  readonly forced: "any" | "named" | null
  /** Whether the model may call them: a template without a place for tools then needs another one. */
  readonly mayBeCalled: boolean
  /** What the answer's calls are held to; null: nothing. */
  readonly grammar: GrammarSpec | null
}

const NO_TOOLS: ToolPlan = { shown: null, areParsed: false, forced: null, mayBeCalled: false, grammar: null }

type ToolFields = Pick<ChatRequest, "tools" | "tool_choice" | "parallel_tool_calls">

/**
 * Without `tool_choice` the model decides; a null shows it the tools, and parses calls where the server can. Calls that
 * have to be made need no parser of the server's: where none is chosen they are a list of JSON.
 *
 * Errors: `RequestError` for a choice that does not fit the tools, and for calls where no parser was chosen.
 */
export function planTools({ options, warnOnce }: Pick<ApiContext, "options" | "warnOnce">, body: ToolFields): ToolPlan {
  const tools = body.tools ?? null
  const choice = body.tool_choice
  if (tools === null) {
    if (choice !== null && choice !== undefined && choice !== "none") {
      refuse("When using `tool_choice`, `tools` must be set.")
    }
    return NO_TOOLS
  }
  if (tools.length === 0) {
    throw new RequestError("tools must not be an empty list: leave the field out.", { param: "tools" })
  }
  const format = options.toolParser === null ? null : TOOL_FORMATS[options.toolParser]
  const isParallel = body.parallel_tool_calls !== false
  const plan: ToolPlan = { ...NO_TOOLS, shown: tools, mayBeCalled: true }
  if (choice === "none") {
    return { ...plan, shown: options.excludeToolsWhenToolChoiceNone ? null : tools, mayBeCalled: false }
  }
  if (choice === null || choice === undefined || choice === "auto") {
    if (format === null && choice !== null) {
      refuse("\"auto\" tool choice requires --tool-call-parser to be set: the chat template does not tell the format.")
    }
    if (format === null) return plan
    const grammar = strictGrammar(format, tools, isParallel)
    if (grammar === null && tools.some(isStrict)) {
      warnOnce("tools: strict is not enforced with this parser where the model decides", { parser: options.toolParser })
    }
    return { ...plan, areParsed: true, grammar }
  }
  const shape = format?.shape ?? GENERIC_CALLS.shape
  const callable = callableTools(tools)
  if (choice === "required") {
    return { ...plan, forced: "any", grammar: asSpec(forcedCalls(shape, callable, isParallel)) }
  }
  if (typeof choice === "string") {
    const got = JSON.stringify(choice.slice(0, 40))
    refuse(`tool_choice must be a named tool, "none", "auto" or "required", got ${got}.`)
  }
  const name = namedTool(choice, tools)
  const named = callable.filter((tool) => tool.name === name).slice(0, 1)
  return { ...plan, forced: "named", grammar: asSpec(forcedCalls(shape, named, false)) }
}

/** Where a tool is strict, calls have the arguments of their tools; those of tools that are not are any object. */
function strictGrammar(format: ToolFormat, tools: Tools, isParallel: boolean): GrammarSpec | null {
  if (!tools.some(isStrict)) return null
  const callable = callableTools(tools).map((tool, i) => (isStrict(tools[i]!) ? tool : { ...tool, parameters: OBJECT }))
  const calls = format.shape === null ? null : checkedCalls(format.shape, callable, isParallel)
  return calls === null ? null : asSpec(calls)
}

const OBJECT = { type: "object" }
/** Of a tool that states no parameters. */
const NO_ARGUMENTS = { type: "object", additionalProperties: false }

function callableTools(tools: Tools): CallableTool[] {
  return tools.map(({ function: { name, ...rest } }, i) => {
    const parameters = (rest as { parameters?: unknown }).parameters ?? NO_ARGUMENTS
    return { name, parameters, path: `tools[${i}].function.parameters` }
  })
}

function isStrict({ function: tool }: Tools[number]): boolean {
  return (tool as { strict?: unknown }).strict === true
}

function asSpec(format: TagFormat): GrammarSpec {
  return { kind: "structural_tag", tag: JSON.stringify({ type: "structural_tag", format }) }
}

function namedTool(choice: Readonly<Record<string, unknown>>, tools: Tools): string {
  const chosen = choice["function"]
  if (!isRecord(chosen)) refuse("tool_choice must have a `function` with the tool's name.", "tool_choice.function")
  const name = chosen["name"]
  if (typeof name !== "string") refuse("tool_choice.function must have a `name`.", "tool_choice.function.name")
  if (!tools.some((tool) => tool.function.name === name)) {
    refuse(`The tool ${JSON.stringify(name.slice(0, 60))} of \`tool_choice\` is not among the \`tools\`.`)
  }
  return name
}

function refuse(message: string, param = "tool_choice"): never {
  throw new RequestError(message, { param })
}
