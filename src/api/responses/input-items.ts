/** The items before a response as objects with ids, and one page of them: OpenAI's list of input items. */
import { RequestError } from "../../base/errors.ts"
import { readInteger, readWord } from "../http/query.ts"
import { randomHex } from "../http/request-id.ts"
import { shapeError } from "../schema/parse.ts"
import type { ResponseInputItem, ResponseItem, ResponseItemList } from "../schema/responses.ts"
import type { FindItem } from "./input.ts"

const ID_PREFIXES: Readonly<Record<string, string>> = {
  message: "msg", function_call: "fc", function_call_output: "fco", reasoning: "rs",
}
const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100

/** `input` has been found good (see `inputMessages`). No id is one of `earlier`, nor comes twice. */
export function listedItems(
  input: string | readonly ResponseInputItem[], findItem: FindItem, earlier: readonly ResponseItem[],
): ResponseItem[] {
  const taken = new Set(earlier.map(({ id }) => id))
  const items = typeof input === "string" ? [{ role: "user", content: input }] : input
  return items.map((item) => {
    const listed = listedItem(item, findItem)
    if (taken.has(listed.id)) listed.id = newId(listed.type)
    taken.add(listed.id)
    return listed
  })
}

function listedItem(item: ResponseInputItem, findItem: FindItem): ResponseItem {
  const type = item.type ?? "message"
  if (type === "item_reference") return { ...findItem(item.id!)! }
  const own = type === "message" ? { content: messageParts(item) } : {}
  return { ...item, ...own, type, id: item.id ?? newId(type), status: item.status ?? "completed" }
}

function newId(type: string): string {
  return `${ID_PREFIXES[type] ?? "item"}_${randomHex(16)}`
}

function messageParts({ role, content }: ResponseInputItem): object[] {
  const isOutput = role === "assistant"
  const byDefault = isOutput ? { type: "output_text", annotations: [] } : { type: "input_text" }
  if (typeof content === "string") return [{ ...byDefault, text: content }]
  return (content ?? []).map((part) => ({ ...byDefault, ...part }))
}

/** The page that `query` asks for. Errors: `RequestError` for a parameter that is none, 404 for an unknown `after`. */
export function pageOfItems(items: readonly ResponseItem[], query: URLSearchParams): ResponseItemList {
  const limit = readInteger(query, "limit") ?? DEFAULT_LIMIT
  if (limit < 1 || limit > MAX_LIMIT) {
    throw shapeError("query.limit", `Input should be an integer between 1 and ${MAX_LIMIT}, got ${limit}`)
  }
  const ordered = readWord(query, "order", ["asc", "desc"], "desc") === "asc" ? items : items.toReversed()
  const start = startAfter(ordered, query.get("after"))
  const data = ordered.slice(start, start + limit)
  return {
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < ordered.length,
  }
}

function startAfter(items: readonly ResponseItem[], after: string | null): number {
  if (after === null) return 0
  const at = items.findIndex(({ id }) => id === after)
  if (at >= 0) return at + 1
  throw new RequestError(`There is no item ${JSON.stringify(after.slice(0, 100))} in this list.`, {
    status: 404, type: "invalid_request_error", param: "after",
  })
}
