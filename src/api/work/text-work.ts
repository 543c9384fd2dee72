/**
 * Work whose cost grows with what a request brings: its body parsed, its messages rendered, texts turned into token ids
 * and back.
 */
import type { JsonLimits } from "../../base/json-scan.ts"
import type { ChatTemplates } from "../../text/chat-templates.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { BodyShape } from "../http/body-schemas.ts"
import { ConversationRenderer } from "../chat/conversation-job.ts"
import type { ConversationJob, RenderedConversation } from "../chat/conversation-job.ts"
import { bodyText, parseBody } from "../http/parse-body.ts"
import type { ParsedBody } from "../http/parse-body.ts"
import type { TokenizeResponse } from "../schema/tokenize.ts"

export interface TextWork {
  /** Errors: those of `bodyText` and `parseBody`. Takes `bytes` over: nobody else may use them afterwards. */
  parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody>
  /** Errors: those of `ConversationRenderer.render`. */
  render(job: ConversationJob): Promise<RenderedConversation>
  /** The token ids of a text, written-out special tokens recognised. */
  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]>
  /** How many token ids that would be. */
  count(text: string, addSpecialTokens: boolean): Promise<number>
  /** The token ids as an answer of /tokenize, in UTF-8: as a list they would be the larger. */
  tokenize(text: string, options: TokenizeOptions): Promise<Uint8Array<ArrayBuffer>>
  /** The text of token ids. */
  decode(tokenIds: readonly number[]): Promise<string>
}

export interface TokenizeOptions {
  readonly addSpecialTokens: boolean
  /** Adds the raw vocabulary pieces. */
  readonly withStrings: boolean
  readonly maxModelLen: number
}

/** Other threads. */
export interface TextThreads {
  readonly texts: Omit<TextWork, "render">
  /** Apart from the others: a template may use all of its time limit, while texts of other requests have to go on. */
  readonly templates: Pick<TextWork, "render">
}

export function tokenizeAnswer(
  tokenizer: Tokenizer, text: string, { addSpecialTokens, withStrings, maxModelLen }: TokenizeOptions,
): Uint8Array<ArrayBuffer> {
  const tokens = tokenizer.encode(text, { addSpecialTokens })
  const answer: TokenizeResponse = {
    count: tokens.length, max_model_len: maxModelLen, tokens,
    token_strs: withStrings ? tokens.map((id) => tokenizer.tokenString(id) ?? "") : null,
  }
  return new TextEncoder().encode(JSON.stringify(answer))
}

/** On the thread that asks for it. */
export class LocalTextWork implements TextWork {
  readonly #tokenizer: Tokenizer
  readonly #renderer: ConversationRenderer

  constructor(tokenizer: Tokenizer, templates: ChatTemplates) {
    this.#tokenizer = tokenizer
    this.#renderer = new ConversationRenderer(templates.all)
  }

  async parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody> {
    return parseBody(bodyText(bytes, limits), shapes)
  }

  async render(job: ConversationJob): Promise<RenderedConversation> {
    return this.#renderer.render(job)
  }

  async encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return this.#tokenizer.encode(text, { addSpecialTokens })
  }

  async count(text: string, addSpecialTokens: boolean): Promise<number> {
    return this.#tokenizer.encode(text, { addSpecialTokens }).length
  }

  async tokenize(text: string, options: TokenizeOptions): Promise<Uint8Array<ArrayBuffer>> {
    return tokenizeAnswer(this.#tokenizer, text, options)
  }

  async decode(tokenIds: readonly number[]): Promise<string> {
    return this.#tokenizer.decode(tokenIds)
  }
}
