/**
 * The blocks of a message while they are being made, with their events:
 *
 *   content_block_start, content_block_delta ..., content_block_stop; a thought's last delta is its signature
 */
import { toolArguments } from "../../text/tool-arguments.ts"
import type { ReplyItem, ReplyPart } from "../chat/answer.ts"
import { randomHex } from "../http/request-id.ts"
import type { BlockDelta, ContentBlock, MessageEvent } from "../schema/anthropic.ts"

type BlockType = ContentBlock["type"]

const TYPES: Readonly<Record<ReplyPart["type"], BlockType>> = {
  reasoning: "thinking", content: "text", call: "tool_use", arguments: "tool_use",
}

/** A message of nothing has an empty text: clients take for granted that there is a block. */
export function contentBlocks(items: readonly ReplyItem[]): ContentBlock[] {
  return items.length === 0 ? [textBlock("")] : items.map(contentBlock)
}

function contentBlock(item: ReplyItem): ContentBlock {
  if (item.type === "content") return textBlock(item.text)
  if (item.type === "reasoning") return thinkingBlock(item.text, randomHex(16))
  return { type: "tool_use", id: item.id, name: item.name, input: { ...callInput(item.arguments) } }
}

function textBlock(text: string): ContentBlock {
  return { type: "text", text }
}

function thinkingBlock(thinking: string, signature: string): ContentBlock {
  return { type: "thinking", thinking, signature }
}

/** Arguments with their numbers as the model wrote them. Of those that are no object nothing can be told in one. */
function callInput(json: string): Readonly<Record<string, unknown>> {
  return toolArguments(json).value
}

export class BlockWriter {
  #open: BlockType | null = null
  #index = -1

  /** The events of `part`, those of the block before it and of its own block included. */
  write(part: ReplyPart): MessageEvent[] {
    const type = TYPES[part.type]
    const begun = part.type === "call" || type !== this.#open ? this.#start(type, startOf(part)) : []
    if (part.type === "call") return begun
    return [...begun, this.#delta(deltaOf(part))]
  }

  /** The message has ended. */
  end(): MessageEvent[] {
    return [...(this.#index < 0 ? this.#start("text", textBlock("")) : []), ...this.#stop()]
  }

  /** Begins a text that may stay empty. */
  startText(): MessageEvent[] {
    return this.#start("text", textBlock(""))
  }

  #start(type: BlockType, content_block: ContentBlock): MessageEvent[] {
    const stopped = this.#stop()
    this.#open = type
    this.#index += 1
    return [...stopped, { type: "content_block_start", index: this.#index, content_block }]
  }

  #delta(delta: BlockDelta): MessageEvent {
    return { type: "content_block_delta", index: this.#index, delta }
  }

  #stop(): MessageEvent[] {
    if (this.#open === null) return []
    const isThought = this.#open === "thinking"
    const signed = isThought ? [this.#delta({ type: "signature_delta", signature: randomHex(16) })] : []
    this.#open = null
    return [...signed, { type: "content_block_stop", index: this.#index }]
  }
}

/** An empty block, which deltas fill. */
function startOf(part: ReplyPart): ContentBlock {
  if (part.type === "call") return { type: "tool_use", id: part.id, name: part.name, input: {} }
  return part.type === "reasoning" ? thinkingBlock("", "") : textBlock("")
}

function deltaOf(part: Exclude<ReplyPart, { type: "call" }>): BlockDelta {
  switch (part.type) {
    case "reasoning":
      return { type: "thinking_delta", thinking: part.text }
    case "content":
      return { type: "text_delta", text: part.text }
    case "arguments":
      return { type: "input_json_delta", partial_json: part.text }
  }
}
