/** Turns a response request into the chat request that it is for the model. */
import { RequestError } from "../../base/errors.ts"
import { ownerOf } from "../http/auth.ts"
import type { ChatJob } from "../chat/chat-job.ts"
import { planChat } from "../chat/chat-plan.ts"
import type { ApiContext } from "../context.ts"
import { randomHex } from "../http/request-id.ts"
import type { ChatRequest } from "../schema/chat.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { InputTokensRequest, ResponsesRequest } from "../schema/responses.ts"
import { refuseUnsupported } from "../plan/unsupported.ts"
import { conversationOf } from "./conversation.ts"
import { noteIgnoredOf } from "./ignored.ts"
import { refuseUnsupportedFields } from "./refusals.ts"
import type { ResponseJob } from "./response-job.ts"
import type { ResponseStore } from "./store.ts"
import { responseTools, toolChoice } from "./tools.ts"
import type { ResponseTools } from "./tools.ts"

const LOGPROBS = "message.output_text.logprobs"
/** What `truncation: "auto"` leaves for the answer where the request does not say. */
const SHARE_FOR_OUTPUT = 0.25

/** Errors: `RequestError` for whatever cannot be honoured, 404 for an earlier response that is not here. */
export async function planResponse(
  context: ApiContext, request: Request, body: ResponsesRequest, store: ResponseStore,
): Promise<ResponseJob> {
  refuseUnsupported(body)
  refuseUnsupportedFields(body)
  const isStored = checkStorage(body, store)
  const owner = ownerOf(request)
  const tools = responseTools(body.tools ?? [])
  noteIgnoredOf(context.warnOnce, body, tools)
  const conversation = conversationOf(body, store, owner)
  const { messages: whole } = conversation
  const id = `resp_${body.request_id ?? randomHex(16)}`
  if (isStored) refuseTaken(store, id)
  const plan = (messages: readonly ChatMessage[]): Promise<ChatJob> =>
    planChat(context, request, chatRequest(body, tools, messages), {
      id, maxTokensField: "max_output_tokens", formatField: "text.format",
    })
  const chat = await (body.truncation === "auto" ? planTruncated(context, body, whole, plan) : plan(whole))
  const wantsLogprobs = (body.include ?? []).includes(LOGPROBS)
  return { id, owner, chat, body, conversation, toolNames: tools.names, wantsLogprobs, isStored }
}

/** Errors: `RequestError` for an id that another response has. */
export function refuseTaken(store: ResponseStore, id: string): void {
  if (!store.has(id)) return
  throw new RequestError(`There is a response ${JSON.stringify(id)} already.`, { param: "request_id" })
}

function checkStorage({ store: wanted, background }: ResponsesRequest, store: ResponseStore): boolean {
  if (wanted === true && !store.isEnabled) {
    throw new RequestError("This server keeps no responses: leave store out.", { param: "store" })
  }
  const isStored = (wanted ?? true) && store.isEnabled
  if (background === true && !isStored) {
    throw new RequestError("background can only be used when `store` is true.", { param: "background" })
  }
  return isStored
}

/** The Responses API keeps a schema's parts beside the type, the chat API in an object of their own. */
function chatFormat(format: Readonly<Record<string, unknown>> | null): Record<string, unknown> | null {
  if (format?.["type"] !== "json_schema") return format
  const { type, ...schema } = format
  return { type, json_schema: schema }
}

/** Errors: `RequestError` for a `tool_choice` that does not fit the tools. */
export function chatRequest(
  body: Omit<ResponsesRequest, "input"> & Pick<InputTokensRequest, "input">,
  tools: ResponseTools,
  conversation: readonly ChatMessage[],
): ChatRequest {
  const {
    input: _input, instructions, max_output_tokens, reasoning, tools: _tools, stream_options: _streamOptions,
    top_logprobs, include, tool_choice, ...rest
  } = body
  const choice = toolChoice(tool_choice, tools)
  const wantsLogprobs = (include ?? []).includes(LOGPROBS)
  const system: ChatMessage[] = instructions == null ? [] : [{ role: "system", content: instructions }]
  return {
    ...rest,
    messages: [...system, ...conversation],
    max_completion_tokens: max_output_tokens ?? null,
    response_format: chatFormat(body.text?.format ?? null),
    reasoning_effort: reasoning?.effort ?? null,
    tools: tools.functions,
    ...(choice === undefined ? {} : { tool_choice: choice }),
    logprobs: wantsLogprobs,
    top_logprobs: wantsLogprobs ? (top_logprobs ?? 0) : 0,
  }
}

/** Drops the oldest messages, as few as let the prompt and its answer fit. The last one always stays. */
async function planTruncated(
  { client }: ApiContext,
  body: ResponsesRequest,
  conversation: readonly ChatMessage[],
  plan: (messages: readonly ChatMessage[]) => Promise<ChatJob>,
): Promise<ChatJob> {
  const { maxModelLen } = client.model
  const share = Math.floor(maxModelLen * SHARE_FOR_OUTPUT)
  const asked = body.max_output_tokens ?? maxModelLen
  // As much as could never be given asks for no more than nothing does.
  const most = maxModelLen - Math.max(1, asked < maxModelLen ? asked : share)
  const starts = startsOf(conversation)
  const planFrom = async (i: number): Promise<ChatJob | null> => {
    try {
      const job = await plan(conversation.slice(starts[i]))
      return job.run.prompt.tokenIds.length <= most ? job : null
    } catch (error) {
      if (error instanceof RequestError && error.code === "context_length_exceeded") return null
      throw error
    }
  }
  // Fewer messages never make a longer prompt, so the first start that fits is found by halving.
  let fits: ChatJob | null = await planFrom(0)
  if (fits !== null) return fits
  let [from, to] = [1, starts.length - 1]
  while (from < to) {
    const middle = (from + to) >> 1
    const job = await planFrom(middle)
    if (job === null) from = middle + 1
    else [to, fits] = [middle, job]
  }
  return fits ?? await planFrom(to) ?? plan(conversation.slice(starts.at(-1)))
}

/** Where a conversation may be cut: never between a tool's call and its result. */
function startsOf(conversation: readonly ChatMessage[]): number[] {
  const starts = conversation.flatMap(({ role }, i) => (role === "tool" ? [] : [i]))
  return starts.length === 0 ? [0] : starts
}
