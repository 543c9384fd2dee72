/**
 * The tiktoken library, started from bytes of our own: its usual entry looks for the WASM file beside itself on disk,
 * which an executable does not have.
 */
import { init, type Tiktoken } from "tiktoken/lite/init"
import wasmPath from "tiktoken/lite/tiktoken_bg.wasm" with { type: "file" }
import { pieceToBytes } from "./byte-level.ts"

/** Text in, ranks out; what we use of tiktoken. */
export type RankEncoder = Pick<Tiktoken, "encode_ordinary">

let library: ReturnType<typeof load> | null = null

async function load() {
  // With `type: "file"` the import is a path, inside the executable or in node_modules; the package's types say a module.
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

/** tiktoken's vocabulary format: "! <first rank> <base64 piece> ...". */
function rankText(pieceOfRank: readonly string[]): string {
  const parts: string[] = ["! 0"]
  for (const piece of pieceOfRank) parts.push(Buffer.from(pieceToBytes(piece)!.buffer).toString("base64"))
  return parts.join(" ")
}
