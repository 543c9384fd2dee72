/** Work whose cost grows with what a request brings: its body parsed, texts turned into token ids and back. */
import type { JsonLimits } from "../../base/json-scan.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { BodyShape } from "../body-schemas.ts"
import { bodyText, parseBody } from "../parse-body.ts"
import type { ParsedBody } from "../parse-body.ts"

export interface TextWork {
  /** Errors: those of `bodyText` and `parseBody`. Takes `bytes` over: nobody else may use them afterwards. */
  parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody>
  /** The token ids of a text, written-out special tokens recognised. */
  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]>
  /** The text of token ids. */
  decode(tokenIds: readonly number[]): Promise<string>
}

/** On the thread that asks for it. */
export class LocalTextWork implements TextWork {
  readonly #tokenizer: Tokenizer

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  async parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody> {
    return parseBody(bodyText(bytes, limits), shapes)
  }

  async encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return this.#tokenizer.encode(text, { addSpecialTokens })
  }

  async decode(tokenIds: readonly number[]): Promise<string> {
    return this.#tokenizer.decode(tokenIds)
  }
}
