/**
 * Items that this server never makes: of a conversation that began on another server, or of tools that are left out
 * here (tools.ts). Calls that the client ran are rendered as calls of functions, with their results. Calls that another
 * server ran, and what only that server can read, are skipped: their outcome is in the messages after them.
 */
import { isRecord } from "../schema/coerce.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { ResponseInputItem } from "../schema/responses.ts"

type Item = ResponseInputItem & Readonly<Record<string, unknown>>

interface Call {
  readonly name: string
  readonly arguments: Record<string, unknown>
}

const CALLS: Readonly<Record<string, (item: Item) => Call>> = {
  custom_tool_call: ({ name, input }) => ({ name: name ?? "custom", arguments: { input: input ?? "" } }),
  local_shell_call: ({ action }) => ({ name: "local_shell", arguments: isRecord(action) ? action : {} }),
  shell_call: ({ action }) => ({ name: "shell", arguments: isRecord(action) ? action : {} }),
  apply_patch_call: ({ operation }) => ({ name: "apply_patch", arguments: isRecord(operation) ? operation : {} }),
  computer_call: ({ action }) => ({ name: "computer", arguments: isRecord(action) ? action : {} }),
}

const RESULTS: ReadonlySet<string> = new Set(Object.keys(CALLS).map((type) => `${type}_output`))

const SKIPPED: ReadonlySet<string> = new Set([
  "web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call", "mcp_call", "mcp_list_tools",
  "mcp_approval_request", "mcp_approval_response", "tool_search_call", "tool_search_output", "additional_tools",
  "configuration_update", "program", "program_output", "compaction", "compaction_summary", "context_compaction",
  "compaction_trigger", "ghost_snapshot",
])

/** Whether an item of this type is left out of the prompt. */
export function isSkipped(type: string): boolean {
  return SKIPPED.has(type)
}

/** Whether an item of this type is what came of a call; its `output` is read as a function's is. */
export function isForeignResult(type: string): boolean {
  return RESULTS.has(type)
}

/** A call of a tool that is no function; null for an item that is none. */
export function foreignCall(item: ResponseInputItem, type: string): ChatMessage | null {
  const read = Object.hasOwn(CALLS, type) ? CALLS[type] : undefined
  if (read === undefined) return null
  const id = item.call_id ?? item.id ?? null
  const call = { ...(id === null ? {} : { id }), type: "function", function: read(item as Item) }
  return { role: "assistant", content: null, tool_calls: [call] }
}
