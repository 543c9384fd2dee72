/** Which tools a chat request offers, and whether the model may call them. */
import { RequestError } from "../base/errors.ts"
import type { ApiContext } from "./context.ts"
import { isRecord } from "./schema/coerce.ts"
import type { ChatRequest } from "./schema/chat.ts"
import type { Tools } from "./schema/messages.ts"

export interface ToolPlan {
  /** What the template is to show; null shows nothing. */
  readonly shown: Tools | null
  /** Calls are told apart from the text. */
  readonly areParsed: boolean
  /** Whether the model may call them: a template without a place for tools then needs another one. */
  readonly mayBeCalled: boolean
}

const NO_TOOLS: ToolPlan = { shown: null, areParsed: false, mayBeCalled: false }

/**
 * Without `tool_choice` the model decides; a null shows it the tools, and parses calls where the server can.
 *
 * Errors: `RequestError` for a choice that does not fit the tools, for calls where no parser was chosen, and for a
 * choice that forces a call: that needs grammars.
 */
export function planTools({ options }: ApiContext, body: Pick<ChatRequest, "tools" | "tool_choice">): ToolPlan {
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
  const hasParser = options.toolParser !== null
  if (choice === null) return { shown: tools, areParsed: hasParser, mayBeCalled: true }
  if (choice === "none") {
    return { shown: options.excludeToolsWhenToolChoiceNone ? null : tools, areParsed: false, mayBeCalled: false }
  }
  if (choice === undefined || choice === "auto") {
    if (hasParser) return { shown: tools, areParsed: true, mayBeCalled: true }
    refuse("\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set.")
  }
  refuseForced(choice, tools)
}

function refuseForced(choice: NonNullable<ChatRequest["tool_choice"]>, tools: Tools): never {
  if (choice === "required") refuse("tool_choice \"required\" is not supported yet: use \"auto\" or \"none\".")
  if (typeof choice === "string") {
    const got = JSON.stringify(choice.slice(0, 40))
    refuse(`tool_choice must be a named tool, "none", "auto" or "required", got ${got}.`)
  }
  checkNamedChoice(choice, tools)
  refuse("A named tool_choice is not supported yet: use \"auto\" or \"none\".")
}

function checkNamedChoice(choice: Readonly<Record<string, unknown>>, tools: Tools): void {
  const chosen = choice["function"]
  if (!isRecord(chosen)) refuse("tool_choice must have a `function` with the tool's name.", "tool_choice.function")
  const name = chosen["name"]
  if (typeof name !== "string") refuse("tool_choice.function must have a `name`.", "tool_choice.function.name")
  if (!tools.some((tool) => tool.function.name === name)) {
    refuse(`The tool ${JSON.stringify(name.slice(0, 60))} of \`tool_choice\` is not among the \`tools\`.`)
  }
}

function refuse(message: string, param = "tool_choice"): never {
  throw new RequestError(message, { param })
}
