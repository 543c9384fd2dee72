/** What a response request may not ask for: each field refused by its name. */
import { RequestError } from "../../base/errors.ts"
import type { InputTokensRequest, ResponsesRequest } from "../schema/responses.ts"

/** Fields of OpenAI's, of vLLM's and of the other endpoints that have no meaning here, and what to use instead. */
const REFUSED: readonly (readonly [field: string, instead: string])[] = [
  ["messages", "use input"],
  ["max_tokens", "use max_output_tokens"],
  ["max_completion_tokens", "use max_output_tokens"],
  ["response_format", "use text.format"],
  ["prompt", "prompt templates are not stored here; use input and instructions"],
  ["conversation", "use previous_response_id"],
  ["logprobs", "use include with message.output_text.logprobs"],
  ["prompt_logprobs", "use /v1/chat/completions"],
  ["echo", "use /v1/chat/completions"],
  ["previous_input_messages", "use input"],
  ["moderation", "leave it out"],
]
/** Parts of an answer that a client may ask for. Those of tools that are not offered here are never there. */
const INCLUDABLE: ReadonlySet<string> = new Set([
  "message.output_text.logprobs", "reasoning.encrypted_content", "message.input_image.image_url",
  "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
  "code_interpreter_call.outputs", "computer_call_output.output.image_url",
])
const MAX_METADATA = { pairs: 16, keyLength: 64, valueLength: 512 }

/** Errors: `RequestError` naming the first field that cannot be honoured. */
export function refuseUnsupportedFields(body: Omit<ResponsesRequest, "input"> & Pick<InputTokensRequest, "input">): void {
  const fields = body as Readonly<Record<string, unknown>>
  for (const [field, instead] of REFUSED) {
    if ((fields[field] ?? null) !== null) refuse(field, `${field} is not supported here: ${instead}.`)
  }
  if ((fields["n"] ?? 1) !== 1) refuse("n", "A response has one output: n must be 1.")
  if (fields["use_beam_search"] === true) refuse("use_beam_search", "Beam search is for /v1/completions and chats.")
  if (fields["enable_response_messages"] === true) refuse("enable_response_messages", "leave it out.")
  if (body.stream_options?.include_obfuscation === true) {
    refuse("stream_options.include_obfuscation", "Obfuscation of streams is not supported: leave it out.")
  }
  for (const [i, part] of (body.include ?? []).entries()) {
    if (!INCLUDABLE.has(part)) refuse(`include.${i}`, `include has an unknown part, ${quoted(part)}.`)
  }
  checkMetadata(body.metadata ?? {})
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const { pairs, keyLength, valueLength } = MAX_METADATA
  const entries = Object.entries(metadata)
  if (entries.length > pairs) refuse("metadata", `metadata may have ${pairs} pairs, got ${entries.length}.`)
  for (const [key, value] of entries) {
    if (key.length > keyLength || value.length > valueLength) {
      refuse("metadata", `metadata keys may have ${keyLength} characters and values ${valueLength}: ${quoted(key)}.`)
    }
  }
}

function refuse(param: string, message: string): never {
  throw new RequestError(message, { param })
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
