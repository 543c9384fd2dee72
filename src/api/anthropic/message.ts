/** A message and the events of one, from the engine's outputs. */
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import type { ChatJob } from "../chat-job.ts"
import { generateAll } from "../generation.ts"
import type { Generation } from "../generation.ts"
import type { AnthropicUsage, MessageEvent, MessageObject, StopReason } from "../schema/anthropic.ts"

export function messageObject(job: ChatJob, output: ChoiceOutput): MessageObject {
  return {
    id: job.id,
    type: "message",
    role: "assistant",
    model: job.model,
    content: [{ type: "text", text: output.text, citations: null }],
    ...ending(output),
    usage: usageOf(job, output),
  }
}

/**
 * message_start with the engine's first output, the text in one block, then how it ended.
 *
 * Errors: those of `generateAll`.
 */
export async function* messageEvents(
  client: EngineClient, job: ChatJob, generation: Generation, signal: AbortSignal,
): AsyncGenerator<MessageEvent, void, void> {
  let last: ChoiceOutput | null = null
  for await (const { output } of generateAll(client, generation, "delta", signal)) {
    if (last === null) {
      const usage = { ...usageOf(job, output), output_tokens: 0 }
      const message = { ...messageObject(job, output), content: [], stop_reason: null, stop_sequence: null, usage }
      yield { type: "message_start", message }
      yield { type: "content_block_start", index: 0, content_block: { type: "text", text: "", citations: null } }
    }
    last = output
    if (output.text === "") continue
    yield { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: output.text } }
  }
  if (last === null || last.finishReason === null) return
  yield { type: "content_block_stop", index: 0 }
  yield { type: "message_delta", delta: ending(last), usage: usageOf(job, last) }
  yield { type: "message_stop" }
}

/** Only a stop sequence is a reason with words: an end-of-sequence id is the end of a turn. */
function ending({ finishReason, stopReason }: ChoiceOutput): Pick<MessageObject, "stop_reason" | "stop_sequence"> {
  const stop_sequence = finishReason === "stop" && typeof stopReason === "string" ? stopReason : null
  const stop_reason: StopReason =
    finishReason === "length" ? "max_tokens" : stop_sequence === null ? "end_turn" : "stop_sequence"
  return { stop_reason, stop_sequence }
}

function usageOf(job: ChatJob, output: ChoiceOutput): AnthropicUsage {
  const numCached = output.numCachedTokens
  return {
    input_tokens: job.run.prompt.tokenIds.length - numCached,
    output_tokens: output.numOutputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: numCached,
  }
}
