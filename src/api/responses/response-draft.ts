/** A response while it is being made: takes the engine's outputs in, and says what the response looks like now. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import { chatLogprobs } from "../logprobs.ts"
import { randomHex } from "../request-id.ts"
import { requestMetrics } from "../request-metrics.ts"
import type {
  OutputMessage, OutputText, ResponseLogprob, ResponseObject, ResponseStatus, ResponseUsage,
} from "../schema/responses.ts"
import type { ResponseJob } from "./response-job.ts"

export class ResponseDraft {
  readonly itemId = `msg_${randomHex(8)}`
  readonly #job: ResponseJob
  readonly #logprobs: ResponseLogprob[] = []
  /** What every state of the response says. */
  readonly #constant: ReturnType<typeof constantFields>
  #last: ChoiceOutput | null = null
  #text = ""

  constructor(job: ResponseJob) {
    this.#job = job
    this.#constant = constantFields(job)
  }

  get text(): string {
    return this.#text
  }

  get logprobs(): ResponseLogprob[] {
    return this.#logprobs
  }

  /** Takes in a delta. Returns its log-probabilities, [] where none were asked for. */
  take(output: ChoiceOutput): ResponseLogprob[] {
    this.#last = output
    this.#text += output.text
    if (!this.#job.wantsLogprobs || output.logprobs === null) return []
    const form = { numTop: this.#job.chat.numTopLogprobs, asTokenIds: false }
    const { content } = chatLogprobs(output.logprobs, form)
    this.#logprobs.push(...content)
    return content
  }

  /** The text as far as it goes. */
  part(): OutputText {
    const logprobs = this.#job.wantsLogprobs ? [...this.#logprobs] : null
    return { type: "output_text", text: this.#text, annotations: [], logprobs }
  }

  item(status: OutputMessage["status"]): OutputMessage {
    const content = status === "in_progress" ? [] : [this.part()]
    return { id: this.itemId, type: "message", role: "assistant", status, content, phase: null }
  }

  /** The response in a state that ends it, or one that does not. */
  response(status: ResponseStatus, failure: string | null = null): ResponseObject {
    const isOpen = status === "queued" || status === "in_progress"
    const hasOutput = !isOpen && this.#last !== null
    const isWhole = status === "completed" || status === "incomplete"
    return {
      id: this.#job.id,
      object: "response",
      status,
      completed_at: status === "completed" ? Math.floor(Date.now() / 1000) : null,
      error: failure === null ? null : { code: "server_error", message: failure },
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      output: hasOutput ? [this.item(isWhole ? "completed" : "incomplete")] : [],
      usage: hasOutput ? this.#usage() : null,
      ...(isWhole && this.#job.chat.report.metrics ? { metrics: requestMetrics([this.#last?.figures ?? null]) } : {}),
      ...this.#constant,
    }
  }

  #usage(): ResponseUsage {
    const inputTokens = this.#job.chat.run.prompt.tokenIds.length
    const outputTokens = this.#last?.numOutputTokens ?? 0
    return {
      input_tokens: inputTokens,
      input_tokens_details: {
        cached_tokens: this.#last?.numCachedTokens ?? 0,
        cache_write_tokens: 0,
        input_tokens_per_turn: [],
        cached_tokens_per_turn: [],
      },
      output_tokens: outputTokens,
      output_tokens_details: {
        reasoning_tokens: 0,
        tool_output_tokens: 0,
        output_tokens_per_turn: [],
        tool_output_tokens_per_turn: [],
      },
      total_tokens: inputTokens + outputTokens,
    }
  }
}

function constantFields({ chat, body, isStored }: ResponseJob) {
  const { sampling } = chat.run
  const tools = body.tools ?? []
  return {
    created_at: chat.created,
    instructions: body.instructions ?? null,
    metadata: body.metadata ?? null,
    model: chat.model,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    tool_choice: body.tool_choice ?? (tools.length === 0 ? "none" : "auto"),
    tools: tools.map(fullTool),
    background: body.background ?? false,
    store: isStored,
    max_output_tokens: sampling.maxTokens,
    max_tool_calls: body.max_tool_calls ?? null,
    previous_response_id: body.previous_response_id ?? null,
    prompt: null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    safety_identifier: body.safety_identifier ?? null,
    reasoning: body.reasoning ?? null,
    service_tier: body.service_tier ?? "auto",
    text: body.text ?? null,
    top_logprobs: body.top_logprobs ?? null,
    truncation: body.truncation ?? "disabled",
    user: body.user ?? null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    input_messages: null,
    output_messages: null,
  }
}

function fullTool(tool: NonNullable<ResponseJob["body"]["tools"]>[number]): Record<string, unknown> {
  const unused = { allowed_callers: null, async: null, defer_loading: null, output_schema: null }
  return { ...unused, description: null, parameters: null, strict: null, ...tool }
}
