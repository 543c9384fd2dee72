/**
 * Responses that clients may ask for again, go on from, or cancel; bounded in number and in bytes.
 *
 *   pending --settle--> settled --evicted or deleted--> gone
 *
 * Room is made by forgetting the settled response that was used least recently. A pending one is never forgotten: where
 * there is no room beside them, a new one is refused. A conversation counts in full for each of its responses, so that
 * what is held can only be less than what is counted.
 */
import { RequestError } from "../../base/errors.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { OutputItem, ResponseItem, ResponseObject } from "../schema/responses.ts"
import type { EventLog } from "./event-log.ts"
import { itemMessages } from "./input.ts"

/** What a response goes on from, without its instructions: as a template wants it, and as the items clients list. */
export interface Conversation {
  readonly messages: readonly ChatMessage[]
  readonly items: readonly ResponseItem[]
}

type RecordInit = Pick<StoredResponse, "owner" | "response" | "conversation" | "log" | "abort">

export class StoredResponse {
  readonly id: string
  /** Who may see it. */
  readonly owner: string
  /** As it is now. */
  response: ResponseObject
  /** What was before the response. */
  readonly conversation: Conversation
  /** The events of a streamed background response; null for others. */
  readonly log: EventLog | null
  /** Ends a background response; null where the client's connection does. */
  readonly abort: AbortController | null
  readonly #settled = Promise.withResolvers<void>()
  #isSettled = false

  constructor(init: RecordInit) {
    this.id = init.response.id
    this.owner = init.owner
    this.response = init.response
    this.conversation = init.conversation
    this.log = init.log
    this.abort = init.abort
  }

  /** The response is as it will stay. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  get settled(): Promise<void> {
    return this.#settled.promise
  }

  settle(): void {
    this.#isSettled = true
    this.log?.close()
    this.#settled.resolve()
  }
}

export interface ResponseStoreLimits {
  /** 0: nothing is kept. */
  readonly maxResponses: number
  readonly maxBytes: number
}

export class ResponseStore {
  readonly #limits: ResponseStoreLimits
  /** Least recently used first. */
  readonly #records = new Map<string, StoredResponse>()
  readonly #sizes = new Map<string, number>()
  /** Output items of settled responses, by their id. */
  readonly #items = new Map<string, { owner: string; item: OutputItem }>()
  #numBytes = 0

  constructor(limits: ResponseStoreLimits) {
    this.#limits = limits
  }

  get isEnabled(): boolean {
    return this.#limits.maxResponses > 0
  }

  get size(): number {
    return this.#records.size
  }

  get numBytes(): number {
    return this.#numBytes
  }

  has(id: string): boolean {
    return this.#records.has(id)
  }

  /** Errors: `RequestError` 404, also for somebody else's. */
  get(id: string, owner: string, param = "response_id"): StoredResponse {
    const record = this.#records.get(id)
    if (record === undefined || record.owner !== owner) {
      throw new RequestError(`Response with id ${JSON.stringify(id.slice(0, 100))} not found.`, {
        status: 404, type: "invalid_request_error", param,
      })
    }
    this.#records.delete(id)
    this.#records.set(id, record)
    return record
  }

  /** What was said up to and with a response. Errors: `RequestError` 404, or 400 while it is not finished. */
  conversationAfter(id: string, owner: string): Conversation {
    const record = this.get(id, owner, "previous_response_id")
    const { status } = record.response
    if (status !== "completed" && status !== "incomplete") {
      throw new RequestError(`The response ${JSON.stringify(id)} is ${status}: nothing can follow it.`, {
        type: "invalid_request_error", param: "previous_response_id",
      })
    }
    const { messages, items } = record.conversation
    const { output } = record.response
    return { messages: [...messages, ...itemMessages(output)], items: [...items, ...output] }
  }

  findItem(id: string, owner: string): OutputItem | null {
    const found = this.#items.get(id)
    return found?.owner === owner ? found.item : null
  }

  /** Errors: `RequestError` 503 when pending responses take all the room. */
  add(record: StoredResponse): void {
    this.#records.set(record.id, record)
    this.#measure(record)
    this.#makeRoom()
    if (this.#records.size <= this.#limits.maxResponses && this.#numBytes <= this.#limits.maxBytes) return
    this.delete(record.id)
    throw new RequestError("Too many responses are being made: no room to store another. Please try again later.", {
      status: 503, type: "ServiceUnavailableError",
    })
  }

  /** The response has its last state. */
  settle(record: StoredResponse): void {
    record.settle()
    if (this.#records.get(record.id) !== record) return
    const { owner, response } = record
    for (const item of response.output) this.#items.set(item.id, { owner, item })
    this.#measure(record)
    this.#makeRoom()
  }

  delete(id: string): void {
    const record = this.#records.get(id)
    if (record === undefined) return
    for (const { id: itemId } of record.response.output) this.#items.delete(itemId)
    this.#records.delete(id)
    this.#numBytes -= this.#sizes.get(id) ?? 0
    this.#sizes.delete(id)
  }

  #measure({ id, response, conversation, log }: StoredResponse): void {
    const numBytes = JSON.stringify([response, conversation]).length + (log?.numBytes ?? 0)
    this.#numBytes += numBytes - (this.#sizes.get(id) ?? 0)
    this.#sizes.set(id, numBytes)
  }

  #makeRoom(): void {
    const { maxResponses, maxBytes } = this.#limits
    for (const [id, { isSettled }] of this.#records) {
      if (this.#records.size <= maxResponses && this.#numBytes <= maxBytes) return
      if (isSettled) this.delete(id)
    }
  }
}
