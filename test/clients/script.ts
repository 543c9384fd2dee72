/**
 * What the model of `model.ts` says: a list of lines, of which the first whose texts are all in the prompt is said. A
 * conversation is scripted from its end: the line for a tool's result comes before the line that calls the tool. It
 * names what came before as well, so that a client or a server that loses the conversation gets no answer.
 */
import { writeFileSync } from "node:fs"
import { textToPiece } from "../../src/text/byte-level.ts"
import { loadTokenizerFromDirectory } from "../../src/text/load-tokenizer.ts"

export interface Line {
  /** Texts of the prompt. */
  readonly when: readonly string[]
  /** As the model writes it, marks of reasoning and of tool calls included. */
  readonly say: string
}

/** A script for `scripted-answers.ts`: texts in the byte-level alphabet, so that a prompt need not be decoded. */
export interface CompiledScript {
  /** The piece of each token id; a special token is its own text. */
  readonly pieces: readonly string[]
  readonly lines: readonly { readonly when: readonly string[]; readonly tokenIds: readonly number[] }[]
}

/** The environment variable by which the server's processor finds the compiled script. */
export const SCRIPT_VARIABLE = "BAOZI_CLIENTS_SCRIPT"

/** Compiles `lines` for the model in `modelDirectory` into the file `path`. */
export async function writeScript(path: string, modelDirectory: string, lines: readonly Line[]): Promise<void> {
  const tokenizer = await loadTokenizerFromDirectory(modelDirectory)
  const pieces = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenString(id) ?? "")
  const end = tokenizer.eosTokenId
  if (end === null) throw new Error(`${modelDirectory}: its tokenizer names no token that ends a turn`)
  const script: CompiledScript = {
    pieces,
    lines: lines.map(({ when, say }) => ({ when: when.map(textToPiece), tokenIds: [...tokenizer.encode(say), end] })),
  }
  writeFileSync(path, JSON.stringify(script))
}

/** A tool call as Qwen3 writes it, and as its template renders it again. */
export function toolCall(name: string, args: Record<string, unknown>): string {
  return `<tool_call>\n${spacedJson({ name, arguments: args })}\n</tool_call>`
}

/** JSON with a space behind commas and colons, as Python writes it. */
function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${spacedJson(item)}`)
  return `{${entries.join(", ")}}`
}

export function thinking(text: string): string {
  return `<think>\n${text}\n</think>\n\n`
}
