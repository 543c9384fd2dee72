/**
 * A response request's tools as those of a chat. Functions are shown to the model; those of a namespace under a name
 * that holds both, "crm__find", as a template has one list of names. Tools of other kinds are left out: agents send
 * them to every server, whether or not it can run them.
 */
import { RequestError } from "../../base/errors.ts"
import { isRecord } from "../schema/coerce.ts"
import type { ChatRequest } from "../schema/chat.ts"
import type { ResponsesRequest, ResponseTool } from "../schema/responses.ts"
import type { Tools } from "../schema/messages.ts"
import { calledName, shownName } from "./tool-names.ts"
import type { ToolName, ToolNames } from "./tool-names.ts"

export interface ResponseTools {
  /** Null where there are none. */
  readonly functions: Tools | null
  /** The names of the functions, by those that the model is shown. */
  readonly names: ToolNames
  /** Kinds of tools that are left out, each once. */
  readonly dropped: readonly string[]
}

/**
 * Errors: `RequestError` for a function or a namespace without what it needs, and for functions whose names cannot be
 * told apart.
 */
export function responseTools(tools: NonNullable<ResponsesRequest["tools"]>): ResponseTools {
  const functions: Tools = []
  const names = new Map<string, ToolName>()
  const dropped = new Set<string>()
  const read = (tool: ResponseTool, namespace: string | null, path: string): void => {
    if (tool.type !== "function") {
      dropped.add(namespace === null ? tool.type : `namespace.${tool.type}`)
      return
    }
    const name = { name: needed(tool, "name", path), namespace }
    const shown = shownName(name)
    const other = names.get(shown)
    if (other !== undefined && other.namespace !== namespace) {
      throw new RequestError(`${path}: there is another function ${quoted(shown)} in tools.`, { param: `${path}.name` })
    }
    names.set(shown, name)
    functions.push(chatTool(tool, shown))
  }
  tools.forEach((tool, i) => {
    const path = `tools.${i}`
    if (tool.type !== "namespace") return read(tool, null, path)
    const namespace = needed(tool, "name", path)
    const members = tool.tools ?? null
    if (members === null) throw new RequestError(`${path} must have \`tools\`.`, { param: `${path}.tools` })
    members.forEach((member, m) => read(member, namespace, `${path}.tools.${m}`))
  })
  return { functions: functions.length === 0 ? null : functions, names, dropped: [...dropped] }
}

function chatTool({ description, parameters, strict }: ResponseTool, name: string): Tools[number] {
  const given = Object.entries({ description, parameters, strict }).filter(([, value]) => (value ?? null) !== null)
  return { type: "function", function: { name, ...Object.fromEntries(given) } }
}

function needed(tool: ResponseTool, field: "name", path: string): string {
  const value = tool[field] ?? ""
  if (value !== "") return value
  throw new RequestError(`${path} must have \`${field}\`.`, { param: `${path}.${field}` })
}

type ToolChoice = NonNullable<ChatRequest["tool_choice"]>

/**
 * The choice as a chat's; undefined where there is none, or nothing to choose from and no call wanted.
 *
 * Errors: `RequestError` for a call of a tool that is left out, that is not there, or of any where none is left.
 */
export function toolChoice(
  choice: ResponsesRequest["tool_choice"], { functions, names, dropped }: ResponseTools,
): ToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined
  if (typeof choice === "string") {
    if (functions !== null) return choice
    if (choice === "auto" || choice === "none") return undefined
    if (choice !== "required" || dropped.length === 0) return choice
    refuse(`tool_choice "required" needs a function: ${listed(dropped)} left out of tools, and there is no other.`)
  }
  const { type, name } = choice
  // The chat's own form.
  if (type === "function" && isRecord(choice["function"])) return choice
  if (type !== "function") {
    refuse(`tool_choice is of type ${quoted(String(type))}: only functions can be chosen, other tools are left out.`)
  }
  if (typeof name !== "string" || name === "") {
    refuse("tool_choice must have the `name` of a function.", "tool_choice.name")
  }
  const chosen = shownName(calledName(name, names))
  if (!names.has(chosen)) refuse(`The function ${quoted(name)} of tool_choice is not among the tools.`)
  return { type, function: { name: chosen } }
}

function listed(kinds: readonly string[]): string {
  const shown = kinds.slice(0, 8).map(quoted).join(", ")
  return kinds.length === 1 ? `${shown} is` : `${shown} are`
}

function refuse(message: string, param = "tool_choice"): never {
  throw new RequestError(message, { param })
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
