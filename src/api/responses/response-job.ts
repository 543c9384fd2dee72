import type { ChatJob } from "../chat/chat-job.ts"
import type { ResponsesRequest } from "../schema/responses.ts"
import type { Conversation } from "./store.ts"
import type { ToolNames } from "./tool-names.ts"

/** A response request, checked and planned. */
export interface ResponseJob {
  readonly id: string
  readonly owner: string
  readonly chat: ChatJob
  readonly body: ResponsesRequest
  /** What the next response may go on from: earlier messages and this request's, without its instructions. */
  readonly conversation: Conversation
  /** What the names that the model may call mean. */
  readonly toolNames: ToolNames
  readonly wantsLogprobs: boolean
  /** It is kept for others to ask for. */
  readonly isStored: boolean
}
