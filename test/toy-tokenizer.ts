import type {
  DecodeOptions,
  DecodeStream,
  DecodeStreamOptions,
  EncodeOptions,
  Tokenizer,
} from "../src/text/tokenizer.ts"

const NUM_BYTES = 256
const SPECIAL = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"] as const

/** A tokenizer small enough to reason about: a token a UTF-8 byte, and four special tokens after them. */
export class ToyTokenizer implements Tokenizer {
  readonly kind = "toy"
  readonly vocabSize = NUM_BYTES + SPECIAL.length
  readonly bosTokenId = NUM_BYTES
  readonly eosTokenId = NUM_BYTES + 1
  readonly padTokenId = null
  readonly specialTokens = { bos_token: SPECIAL[0], eos_token: SPECIAL[1] }

  warmUp(): Promise<void> {
    return Promise.resolve()
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids = options.addSpecialTokens === false ? [] : [this.bosTokenId]
    for (const part of text.split(/(<\|(?:bos|eos|im_start|im_end)\|>)/)) {
      const special = (SPECIAL as readonly string[]).indexOf(part)
      if (special >= 0) ids.push(NUM_BYTES + special)
      else ids.push(...new TextEncoder().encode(part))
    }
    return ids
  }

  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const stream = this.decodeStream(options)
    return ids.map((id) => stream.push(id)).join("") + stream.flush()
  }

  decodeStream(options: DecodeStreamOptions = {}): DecodeStream {
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
    const isSkipped = (id: number) => options.skipSpecialTokens === true && !(options.keptTokenIds ?? []).includes(id)
    return {
      push: (id) => {
        if (id < NUM_BYTES) return utf8.decode(Uint8Array.of(id), { stream: true })
        return utf8.decode() + (isSkipped(id) ? "" : (this.tokenString(id) ?? ""))
      },
      flush: () => utf8.decode(),
    }
  }

  tokenString(id: number): string | null {
    if (id >= 0 && id < NUM_BYTES) return String.fromCharCode(id)
    return SPECIAL[id - NUM_BYTES] ?? null
  }

  tokenBytes(id: number): Uint8Array | null {
    if (id < NUM_BYTES) return Uint8Array.of(id)
    const special = SPECIAL[id - NUM_BYTES]
    return special === undefined ? null : new TextEncoder().encode(special)
  }

  tokenId(piece: string): number | null {
    const special = (SPECIAL as readonly string[]).indexOf(piece)
    if (special >= 0) return NUM_BYTES + special
    return piece.length === 1 && piece.charCodeAt(0) < NUM_BYTES ? piece.charCodeAt(0) : null
  }

  isSpecial(id: number): boolean {
    return id >= NUM_BYTES && id < this.vocabSize
  }
}
