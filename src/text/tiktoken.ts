/**
 * The tiktoken library, started from bytes of our own: its usual entry looks for the WASM file beside itself on disk,
 * which an executable does not have.
 */
import { init, type Tiktoken } from "tiktoken/lite/init"
import wasmPath from "tiktoken/lite/tiktoken_bg.wasm" with { type: "file" }
import { ceilDiv } from "../base/math.ts"
import { codeToByte } from "./byte-level.ts"

/** Text in, ranks out; what we use of tiktoken. */
export type RankEncoder = Pick<Tiktoken, "encode_ordinary">

let library: ReturnType<typeof load> | null = null

async function load() {
  // With `type: "file"` the import is a path, inside the executable or in node_modules; the package's types say a
  // module.
  const bytes = await Bun.file(wasmPath as unknown as string).arrayBuffer()
  let exports: typeof import("tiktoken/lite/init") | null = null
  await init(async (imports) => {
    exports = imports["./tiktoken_bg.js"] as unknown as typeof import("tiktoken/lite/init")
    return await WebAssembly.instantiate(await WebAssembly.compile(bytes), imports)
  })
  return exports as unknown as typeof import("tiktoken/lite/init")
}

/**
 * An encoder of single pre-tokens: its pattern takes all text as one piece, because tiktoken's own splitting cannot be
 * given untrusted text (a long run of spaces aborts the WASM module, see `LONG_PIECE` in byte-level-bpe.ts).
 */
export async function createRankEncoder(pieceOfRank: readonly string[]): Promise<RankEncoder> {
  library ??= load()
  const { Tiktoken } = await library
  return new Tiktoken(rankText(pieceOfRank), {}, "(?s:.+)")
}

const BASE64 = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
const PADDING = 61

/** tiktoken's vocabulary format: "! <first rank> <base64 piece> ...", written straight into one buffer. */
function rankText(pieceOfRank: readonly string[]): string {
  const size = pieceOfRank.reduce((total, piece) => total + 1 + 4 * ceilDiv(piece.length, 3), 3)
  const text = new Uint8Array(size)
  text.set(new TextEncoder().encode("! 0"))
  let at = 3
  for (const piece of pieceOfRank) {
    const { length } = piece
    const byteAt = (i: number): number => (i < length ? codeToByte(piece.charCodeAt(i)) : 0)
    text[at++] = 0x20
    for (let i = 0; i < length; i += 3) {
      const group = (byteAt(i) << 16) | (byteAt(i + 1) << 8) | byteAt(i + 2)
      text[at++] = BASE64[group >> 18]!
      text[at++] = BASE64[(group >> 12) & 63]!
      text[at++] = i + 1 < length ? BASE64[(group >> 6) & 63]! : PADDING
      text[at++] = i + 2 < length ? BASE64[group & 63]! : PADDING
    }
  }
  return new TextDecoder().decode(text)
}
