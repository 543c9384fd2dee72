/** Which tools a chat request offers, and whether the model has to call one. */
import { RequestError } from "../base/errors.ts"
import { isRecord } from "./schema/coerce.ts"
import type { ChatRequest } from "./schema/chat.ts"

export type Tools = NonNullable<ChatRequest["tools"]>

/**
 * The tools that the template is to show, or null. They are shown whatever `tool_choice` is, "none" included.
 *
 * Errors: `RequestError` for a choice that does not fit the tools, and for one that forces a call: that needs grammars.
 */
export function readTools(body: ChatRequest): Tools | null {
  const tools = body.tools ?? null
  const choice = body.tool_choice ?? null
  if (tools === null) {
    if (choice !== null && choice !== "none") refuse("When using `tool_choice`, `tools` must be set.")
    return null
  }
  if (tools.length === 0) {
    throw new RequestError(
      "tools must not be an empty list: leave the field out.", { param: "tools" },
    )
  }
  if (choice === null || choice === "none" || choice === "auto") return tools
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
