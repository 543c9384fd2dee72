/** The schemas that request bodies are read by, under their titles: so a thread is told by which one to read. */
import type { TObject } from "@sinclair/typebox"
import { assert, present } from "../../base/assert.ts"
import { CountTokensRequest, MessagesRequest } from "../schema/anthropic.ts"
import { BatchChatRequest } from "../schema/chat-batch.ts"
import { ChatRequest } from "../schema/chat.ts"
import { CompletionRequest } from "../schema/completions.ts"
import { AbortRequest } from "../schema/control.ts"
import { InputTokensRequest, ResponsesRequest } from "../schema/responses.ts"
import { DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest } from "../schema/tokenize.ts"

const SCHEMAS = new Map<string, TObject>([
  AbortRequest, BatchChatRequest, ChatRequest, CompletionRequest, CountTokensRequest, DetokenizeRequest,
  InputTokensRequest, MessagesRequest, ResponsesRequest, TokenizeChatRequest, TokenizeTextRequest,
].map((schema: TObject) => [present(schema.title, "a schema's title"), schema]))

/** One of the shapes that a body may have: which schema reads it where `field` is there. */
export interface BodyShape {
  /** Null: in any case. */
  readonly field: string | null
  /** The schema's. */
  readonly title: string
}

/** Requires: the schema is in the list above. */
export function bodyShape(schema: TObject, field: string | null = null): BodyShape {
  const title = present(schema.title, "a schema's title")
  assert(SCHEMAS.get(title) === schema, () => `${title} is not among the schemas of bodies`)
  return { field, title }
}

export function schemaOf({ title }: BodyShape): TObject {
  return present(SCHEMAS.get(title), title)
}
