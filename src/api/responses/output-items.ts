/**
 * The items of a response's output while they are being made, each with its events in OpenAI's order:
 *
 *   a message    output_item.added, content_part.added, output_text.delta ..., output_text.done, content_part.done,
 *                output_item.done
 *   reasoning    the same, with reasoning_text for output_text
 *   a call       output_item.added, function_call_arguments.delta ..., function_call_arguments.done, output_item.done
 */
import { randomHex } from "../http/request-id.ts"
import type { UnnumberedEvent } from "../schema/response-events.ts"
import type {
  ItemStatus, OutputCall, OutputItem, OutputMessage, OutputReasoning, OutputText, ReasoningText, ResponseLogprob,
} from "../schema/responses.ts"
import type { ToolName } from "./tool-names.ts"

/** An item that grows until it ends. `status` is in_progress till then. */
export interface GrowingItem {
  readonly kind: "content" | "reasoning" | "call"
  readonly status: ItemStatus
  /** What it is so far; in `status` where it has not ended. */
  item(status: ItemStatus): OutputItem
  begin(): UnnumberedEvent[]
  append(text: string): UnnumberedEvent[]
  end(status: ItemStatus): UnnumberedEvent[]
}

abstract class Growing {
  readonly outputIndex: number
  status: ItemStatus = "in_progress"
  text = ""

  constructor(outputIndex: number) {
    this.outputIndex = outputIndex
  }

  abstract item(status: ItemStatus): OutputItem

  protected added(): UnnumberedEvent {
    return { type: "response.output_item.added", output_index: this.outputIndex, item: this.item("in_progress") }
  }

  protected done(status: ItemStatus): UnnumberedEvent {
    this.status = status
    return { type: "response.output_item.done", output_index: this.outputIndex, item: this.item(status) }
  }
}

export class MessageItem extends Growing implements GrowingItem {
  readonly kind = "content"
  readonly id = `msg_${randomHex(8)}`
  /** Null where none are told. */
  readonly logprobs: ResponseLogprob[] | null
  readonly #place: { output_index: number; item_id: string; content_index: number }

  constructor(outputIndex: number, hasLogprobs: boolean) {
    super(outputIndex)
    this.logprobs = hasLogprobs ? [] : null
    this.#place = { output_index: outputIndex, item_id: this.id, content_index: 0 }
  }

  #part(): OutputText {
    const logprobs = this.logprobs === null ? null : [...this.logprobs]
    return { type: "output_text", text: this.text, annotations: [], logprobs }
  }

  item(status: ItemStatus): OutputMessage {
    const content = status === "in_progress" ? [] : [this.#part()]
    return { id: this.id, type: "message", role: "assistant", status, content, phase: null }
  }

  begin(): UnnumberedEvent[] {
    const part = { ...this.#part(), logprobs: [] }
    return [this.added(), { type: "response.content_part.added", ...this.#place, part }]
  }

  append(delta: string, logprobs: readonly ResponseLogprob[] = []): UnnumberedEvent[] {
    this.text += delta
    this.logprobs?.push(...logprobs)
    return [{ type: "response.output_text.delta", ...this.#place, delta, logprobs: [...logprobs] }]
  }

  end(status: ItemStatus): UnnumberedEvent[] {
    const logprobs = [...(this.logprobs ?? [])]
    return [
      { type: "response.output_text.done", ...this.#place, text: this.text, logprobs },
      { type: "response.content_part.done", ...this.#place, part: this.#part() },
      this.done(status),
    ]
  }
}

export class ReasoningItem extends Growing implements GrowingItem {
  readonly kind = "reasoning"
  readonly id = `rs_${randomHex(8)}`

  get #place() {
    return { output_index: this.outputIndex, item_id: this.id, content_index: 0 }
  }

  #part(): ReasoningText {
    return { type: "reasoning_text", text: this.text }
  }

  item(status: ItemStatus): OutputReasoning {
    const content = status === "in_progress" ? [] : [this.#part()]
    return { id: this.id, type: "reasoning", summary: [], content, encrypted_content: null, status }
  }

  begin(): UnnumberedEvent[] {
    return [this.added(), { type: "response.content_part.added", ...this.#place, part: this.#part() }]
  }

  append(delta: string): UnnumberedEvent[] {
    this.text += delta
    return [{ type: "response.reasoning_text.delta", ...this.#place, delta }]
  }

  end(status: ItemStatus): UnnumberedEvent[] {
    return [
      { type: "response.reasoning_text.done", ...this.#place, text: this.text },
      { type: "response.content_part.done", ...this.#place, part: this.#part() },
      this.done(status),
    ]
  }
}

export class CallItem extends Growing implements GrowingItem {
  readonly kind = "call"
  readonly id = `fc_${randomHex(8)}`
  readonly callId: string
  readonly called: ToolName

  constructor(outputIndex: number, callId: string, called: ToolName) {
    super(outputIndex)
    this.callId = callId
    this.called = called
  }

  item(status: ItemStatus): OutputCall {
    return {
      id: this.id, type: "function_call", call_id: this.callId, ...this.called, arguments: this.text,
      async: null, caller: null, status,
    }
  }

  get #place() {
    return { output_index: this.outputIndex, item_id: this.id }
  }

  begin(): UnnumberedEvent[] {
    return [this.added()]
  }

  append(delta: string): UnnumberedEvent[] {
    this.text += delta
    return [{ type: "response.function_call_arguments.delta", ...this.#place, delta }]
  }

  end(status: ItemStatus): UnnumberedEvent[] {
    const { called: { name }, text } = this
    return [
      { type: "response.function_call_arguments.done", ...this.#place, name, arguments: text },
      this.done(status),
    ]
  }
}
