/** A response while it is being made: takes the engine's outputs in, and says what the response looks like now. */
import { present } from "../../base/assert.ts"
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import { Answer, hidesTokens, type ReplyPart } from "../chat/answer.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import { chatLogprobs } from "../plan/logprobs.ts"
import { requestMetrics } from "../observe/request-metrics.ts"
import type { UnnumberedEvent } from "../schema/response-events.ts"
import type {
  ItemStatus, ResponseLogprob, ResponseObject, ResponseStatus, ResponseTool, ResponseUsage,
} from "../schema/responses.ts"
import { CallItem, MessageItem, ReasoningItem, type GrowingItem } from "./output-items.ts"
import type { ResponseJob } from "./response-job.ts"
import { calledName } from "./tool-names.ts"

export class ResponseDraft {
  readonly #job: ResponseJob
  readonly #answer: Answer
  readonly #items: GrowingItem[] = []
  /** Of tokens whose text has not been given out. */
  #logprobs: ResponseLogprob[] = []
  /** What every state of the response says. */
  readonly #constant: ReturnType<typeof constantFields>
  #last: ChoiceOutput | null = null

  constructor(job: ResponseJob) {
    this.#job = job
    this.#answer = new Answer(job.chat.answer)
    this.#constant = constantFields(job)
  }

  /** Takes in an output of the engine. Returns the events of what is new. */
  take(output: ChoiceOutput): UnnumberedEvent[] {
    this.#last = output
    this.#logprobs.push(...this.#logprobsOf(output))
    const parts = this.#job.body.stream === true ? this.#answer.take(output) : this.#answer.takeWhole(output)
    // Without a parser there is one message, from the first token on.
    const isFirst = this.#items.length === 0 && this.#job.chat.answer === null
    const begun = isFirst ? this.#open(new MessageItem(0, this.#tellsLogprobs)) : []
    return [...begun, ...parts.flatMap((part) => this.#write(part)), ...this.#writeLogprobs()]
  }

  /** The answer has ended: returns the events that close its last item; an answer of nothing is an empty message. */
  end(): UnnumberedEvent[] {
    const begun = this.#items.length === 0 ? this.#open(new MessageItem(0, this.#tellsLogprobs)) : []
    // What came behind the last message belongs to it all the same: the whole answer's are in one list.
    const events = [...begun, ...this.#writeLogprobs(), ...this.#close()]
    const message = this.#items.findLast((item) => item instanceof MessageItem)
    message?.logprobs?.push(...this.#logprobs)
    return events
  }

  get #tellsLogprobs(): boolean {
    return this.#job.wantsLogprobs && !hidesTokens(this.#job.chat.answer)
  }

  #logprobsOf({ logprobs }: ChoiceOutput): ResponseLogprob[] {
    if (!this.#tellsLogprobs || logprobs === null) return []
    return chatLogprobs(logprobs, { numTop: this.#job.chat.numTopLogprobs, asTokenIds: false }).content
  }

  #write(part: ReplyPart): UnnumberedEvent[] {
    const index = this.#items.length
    if (part.type === "call") {
      return this.#open(new CallItem(index, part.id, calledName(part.name, this.#job.toolNames)))
    }
    const kind = part.type === "arguments" ? "call" : part.type
    const begun = this.#current?.kind === kind ? [] : this.#open(
      part.type === "reasoning" ? new ReasoningItem(index) : new MessageItem(index, this.#tellsLogprobs),
    )
    const item = present(this.#current, "an open item")
    const events = item instanceof MessageItem ? item.append(part.text, this.#takeLogprobs()) : item.append(part.text)
    return [...begun, ...events]
  }

  /** Of tokens that have no text: in a message, at once. */
  #writeLogprobs(): UnnumberedEvent[] {
    const item = this.#current
    return item instanceof MessageItem && this.#logprobs.length > 0 ? item.append("", this.#takeLogprobs()) : []
  }

  #takeLogprobs(): ResponseLogprob[] {
    const logprobs = this.#logprobs
    this.#logprobs = []
    return logprobs
  }

  /** The item that has not ended. */
  get #current(): GrowingItem | null {
    const last = this.#items.at(-1)
    return last?.status === "in_progress" ? last : null
  }

  #open(item: GrowingItem): UnnumberedEvent[] {
    const closed = this.#close()
    this.#items.push(item)
    return [...closed, ...item.begin()]
  }

  #close(): UnnumberedEvent[] {
    const item = this.#current
    if (item === null) return []
    return item.end(item.kind === "call" && this.#answer.isCutOff ? "incomplete" : "completed")
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
      output: hasOutput ? this.#items.map((item) => item.item(endedStatus(item))) : [],
      usage: hasOutput ? this.#usage() : null,
      ...(isWhole ? cacheMissField(this.#job.chat.run, this.#last?.numCachedTokens ?? 0) : {}),
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
        reasoning_tokens: this.#answer.numReasoningTokens ?? 0,
        tool_output_tokens: 0,
        output_tokens_per_turn: [],
        tool_output_tokens_per_turn: [],
      },
      total_tokens: inputTokens + outputTokens,
    }
  }
}

/** An item that has not ended never will. */
function endedStatus({ status }: GrowingItem): ItemStatus {
  return status === "in_progress" ? "incomplete" : status
}

function constantFields({ chat, body, toolNames, isStored }: ResponseJob) {
  const { sampling } = chat.run
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
    tool_choice: body.tool_choice ?? (toolNames.size === 0 ? "none" : "auto"),
    tools: (body.tools ?? []).map(fullTool),
    background: body.background ?? false,
    store: isStored,
    max_output_tokens: sampling.maxTokens,
    max_tool_calls: body.max_tool_calls ?? null,
    previous_response_id: body.previous_response_id ?? null,
    prompt: null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    safety_identifier: body.safety_identifier ?? null,
    reasoning: body.reasoning ?? null,
    service_tier: (body.service_tier ?? "auto") === "auto" ? "auto" : "default",
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

/** Tools that are left out are told as they came. */
function fullTool(tool: ResponseTool): Record<string, unknown> {
  if (tool.type !== "function") return tool
  const unused = { allowed_callers: null, async: null, defer_loading: null, output_schema: null }
  return { ...unused, description: null, parameters: null, strict: null, ...tool }
}
