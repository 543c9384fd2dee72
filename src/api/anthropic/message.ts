/** A message and the events of one, from the engine's outputs. */
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import { Answer, replyItems } from "../chat/answer.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import type { ChatJob } from "../chat/chat-job.ts"
import { generateAll } from "../plan/generation.ts"
import type { Generation } from "../plan/generation.ts"
import type { AnthropicUsage, MessageEvent, MessageObject, StopReason } from "../schema/anthropic.ts"
import { BlockWriter, contentBlocks } from "./blocks.ts"

export function messageObject(job: ChatJob, output: ChoiceOutput): MessageObject {
  const answer = new Answer(job.answer)
  const content = contentBlocks(replyItems(answer.takeWhole(output)))
  const cacheMiss = cacheMissField(job.run, output.numCachedTokens)
  return { ...messageHeader(job), content, ...ending(output, answer), usage: usageOf(job, output), ...cacheMiss }
}

function messageHeader(job: ChatJob): Pick<MessageObject, "id" | "type" | "role" | "model"> {
  return { id: job.id, type: "message", role: "assistant", model: job.model }
}

/**
 * message_start with the engine's first output, block after block, then how it ended.
 *
 * Errors: those of `generateAll`.
 */
export async function* messageEvents(
  client: EngineClient, job: ChatJob, generation: Generation, signal: AbortSignal,
): AsyncGenerator<MessageEvent, void, void> {
  const answer = new Answer(job.answer)
  const blocks = new BlockWriter()
  let last: ChoiceOutput | null = null
  for await (const { output } of generateAll(client, generation, "delta", signal)) {
    if (last === null) {
      const usage = { ...usageOf(job, output), output_tokens: 0 }
      const start = {
        ...messageHeader(job), content: [], stop_reason: null, stop_sequence: null, usage,
        ...cacheMissField(job.run, output.numCachedTokens),
      }
      yield { type: "message_start", message: start }
      // Without a parser there is one block, from the first token on.
      if (job.answer === null) yield* blocks.startText()
    }
    last = output
    for (const part of answer.take(output)) yield* blocks.write(part)
  }
  if (last === null || last.finishReason === null) return
  yield* blocks.end()
  yield { type: "message_delta", delta: ending(last, answer), usage: usageOf(job, last) }
  yield { type: "message_stop" }
}

/** Only a stop sequence is a reason with words: an end-of-sequence id is the end of a turn. Whole calls come first. */
function ending(
  { finishReason, stopReason }: ChoiceOutput, { hasWholeCalls }: Answer,
): Pick<MessageObject, "stop_reason" | "stop_sequence"> {
  const isStopped = finishReason === "stop" && typeof stopReason === "string" && !hasWholeCalls
  if (isStopped) return { stop_reason: "stop_sequence", stop_sequence: stopReason }
  const byItself: StopReason = hasWholeCalls ? "tool_use" : "end_turn"
  return { stop_reason: finishReason === "length" ? "max_tokens" : byItself, stop_sequence: null }
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
