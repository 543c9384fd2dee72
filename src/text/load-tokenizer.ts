/**
 * Loads the tokenizer of a model directory in the Hugging Face layout: tokenizer.json, with the names of special tokens
 * from tokenizer_config.json, special_tokens_map.json and generation_config.json.
 */
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../base/errors.ts"
import { refuseLfsPointer } from "../base/lfs-pointer.ts"
import { buildTokenizer } from "./build-tokenizer.ts"
import type { Tokenizer } from "./tokenizer.ts"
import {
  asObject,
  checkId,
  isObject,
  parseAddedToken,
  parseTokenizerJson,
  type AddedTokenConfig,
  type JsonObject,
  type TokenizerJson,
} from "./tokenizer-json.ts"

/** The largest tokenizer.json known is 33 MB (262,144 tokens); a larger file is refused before it is read. */
const MAX_TOKENIZER_BYTES = 256 * 1024 * 1024

/** Throws `ConfigError` when tokenizer.json is absent, malformed or of a kind that cannot be run exactly. */
export async function loadTokenizerFromDirectory(dir: string): Promise<Tokenizer> {
  const file = join(dir, "tokenizer.json")
  if (!existsSync(file)) throw new ConfigError(`${dir} has no tokenizer.json`)
  const config = readJsonObject(join(dir, "tokenizer_config.json"))
  const parsed = parseTokenizerJson(readJson(file), file)
  const json = withConfiguredTokens(parsed, config)
  const specialTokens = {
    ...specialTokenNames(readJsonObject(join(dir, "special_tokens_map.json"))),
    ...specialTokenNames(config),
  }
  const generation = readJsonObject(join(dir, "generation_config.json"))
  for (const name of ["bos_token", "eos_token", "pad_token"]) {
    specialTokens[name] ??= contentOfId(json, generation[`${name}_id`]) ?? ""
    if (specialTokens[name] === "") delete specialTokens[name]
  }
  return buildTokenizer(markSpecial(json, Object.values(specialTokens)), specialTokens)
}

/** The parsed file. Throws `ConfigError` when it is too large or not JSON. */
export function readJson(file: string): unknown {
  const { size } = statSync(file)
  if (size > MAX_TOKENIZER_BYTES)
    throw new ConfigError(`${file} has ${size} bytes; the limit is ${MAX_TOKENIZER_BYTES}`)
  const bytes = readFileSync(file)
  refuseLfsPointer(bytes, file)
  try {
    return JSON.parse(bytes.toString("utf8")) as unknown
  } catch (error) {
    throw new ConfigError(`${file} is not valid JSON: ${(error as Error).message}`)
  }
}

/** The object in the file; {} when there is no file. */
export function readJsonObject(file: string): JsonObject {
  return existsSync(file) ? asObject(readJson(file), file) : {}
}

/** `bos_token`: "<s>" or {content: "<s>"}, and the names that a model adds ("boi_token", "image_token"). */
function specialTokenNames(config: JsonObject): Record<string, string> {
  const names: Record<string, string> = {}
  const extra = isObject(config["extra_special_tokens"]) ? config["extra_special_tokens"] : {}
  for (const [name, value] of Object.entries({ ...extra, ...config })) {
    if (!name.endsWith("_token")) continue
    const content = isObject(value) ? value["content"] : value
    if (typeof content === "string" && content !== "") names[name] = content
  }
  return names
}

/** Tokens that tokenizer_config.json adds to those of tokenizer.json. */
function withConfiguredTokens(json: TokenizerJson, config: JsonObject): TokenizerJson {
  const decoder = config["added_tokens_decoder"]
  if (!isObject(decoder)) return json
  const known = new Set(json.addedTokens.map((token) => token.content))
  const more: AddedTokenConfig[] = []
  for (const [id, entry] of Object.entries(decoder)) {
    const token = parseAddedToken(entry, Number(id), `tokenizer_config.json: added_tokens_decoder.${id}`)
    // Tools write -1 for a token that was never given an id.
    if (token.id < 0) continue
    checkId(token.content, token.id, json.vocab.size + Object.keys(decoder).length, "tokenizer_config.json")
    const vocabId = json.vocab.get(token.content)
    // An id of its own, or the id the vocabulary gives: anything else would rename a token.
    if (!known.has(token.content) && (vocabId === undefined || vocabId === token.id)) more.push(token)
  }
  return more.length === 0 ? json : { ...json, addedTokens: [...json.addedTokens, ...more] }
}

/** Tokens with a name are special, whatever tokenizer.json says of them. */
function markSpecial(json: TokenizerJson, contents: readonly string[]): TokenizerJson {
  const named = new Set(contents)
  const addedTokens = json.addedTokens.map((token) => (named.has(token.content) ? { ...token, special: true } : token))
  const known = new Set(addedTokens.map((token) => token.content))
  for (const content of named) {
    const id = json.vocab.get(content)
    if (known.has(content) || id === undefined) continue
    addedTokens.push({ id, content, special: true, normalized: false, lstrip: false, rstrip: false, singleWord: false })
  }
  return { ...json, addedTokens }
}

function contentOfId(json: TokenizerJson, value: unknown): string | null {
  const id: unknown = Array.isArray(value) ? value[0] : value
  if (typeof id !== "number") return null
  const added = json.addedTokens.find((token) => token.id === id)
  if (added !== undefined) return added.content
  let content: string | null = null
  json.vocab.forEach((piece, pieceId) => {
    if (pieceId === id) content = piece
  })
  return content
}
