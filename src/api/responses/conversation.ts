import { RequestError } from "../../base/errors.ts"
import type { InputTokensRequest } from "../schema/responses.ts"
import { inputMessages } from "./input.ts"
import { listedItems } from "./input-items.ts"
import type { Conversation, ResponseStore } from "./store.ts"

/**
 * The earlier response's conversation, and then the request's own input.
 *
 * Errors: `RequestError` for input that cannot be put before the model, or none; 404 for what is not stored.
 */
export function conversationOf(
  { input = null, previous_response_id: earlierId }: Pick<InputTokensRequest, "input" | "previous_response_id">,
  store: ResponseStore,
  owner: string,
): Conversation {
  const earlier = earlierId == null ? { messages: [], items: [] } : store.conversationAfter(earlierId, owner)
  if (input === null && earlierId == null) throw new RequestError("input must be given.", { param: "input" })
  if (input === null) return earlier
  const findItem = (id: string) => store.findItem(id, owner)
  const messages = [...earlier.messages, ...inputMessages(input, findItem)]
  return {
    // Clients probe a model with an empty input, while templates need at least one message.
    messages: messages.length > 0 ? messages : [{ role: "user", content: "" }],
    items: [...earlier.items, ...listedItems(input, findItem, earlier.items)],
  }
}
