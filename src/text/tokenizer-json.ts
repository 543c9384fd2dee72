/**
 * The parts of Hugging Face's tokenizer.json that we read ourselves, checked: the file is untrusted.
 * Steps (normalizer, pre-tokenizer ...) stay as plain objects; the module that runs a step reads its fields.
 */
import { ConfigError } from "../base/errors.ts"
import { PieceTable } from "./piece-table.ts"

export type JsonObject = Readonly<Record<string, unknown>>

/** A normalizer, pre-tokenizer, post-processor or decoder: an object with a `type`. */
export type StepConfig = JsonObject & { readonly type: string }

export interface AddedTokenConfig {
  readonly id: number
  readonly content: string
  readonly special: boolean
  readonly normalized: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly singleWord: boolean
}

export type Merge = readonly [left: string, right: string]

export interface TokenizerJson {
  /** "BPE", "Unigram", "WordPiece" or "WordLevel". */
  readonly modelType: string
  /** `model` as written, for the library that runs it. */
  readonly model: JsonObject
  readonly vocab: PieceTable
  /** BPE alone; in order of priority. */
  readonly merges: readonly (string | Merge)[]
  /** Merges of pieces outside the vocabulary, or that join to none, are passed over; else they are errors. */
  readonly skipsUnknownMerges?: boolean
  readonly addedTokens: readonly AddedTokenConfig[]
  readonly normalizer: StepConfig | null
  readonly preTokenizer: StepConfig | null
  readonly postProcessor: StepConfig | null
  readonly decoder: StepConfig | null
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** `value` as an object. Throws `ConfigError` naming `what`. */
export function asObject(value: unknown, what: string): JsonObject {
  if (!isObject(value)) throw new ConfigError(`${what} must be an object, found ${describe(value)}`)
  return value
}

export function describe(value: unknown): string {
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  return value === undefined ? "nothing" : typeof value === "object" ? "an object" : JSON.stringify(value).slice(0, 80)
}

/** Checks the parsed content of tokenizer.json; `where` names the file in errors. */
export function parseTokenizerJson(value: unknown, where: string): TokenizerJson {
  const root = asObject(value, where)
  const model = asObject(root["model"], `${where}: model`)
  const modelType = modelTypeOf(model, where)
  const vocab = modelType === "Unigram" ? unigramVocab(model["vocab"], where) : vocabTable(model["vocab"], where)
  const addedTokens = parseAddedTokens(root["added_tokens"] ?? [], where)
  for (const { content, id } of addedTokens) checkId(content, id, vocab.size + addedTokens.length, where)
  return {
    modelType,
    model,
    vocab,
    merges: modelType === "BPE" ? parseMerges(model["merges"], where) : [],
    addedTokens,
    normalizer: parseStep(root["normalizer"], `${where}: normalizer`),
    preTokenizer: parseStep(root["pre_tokenizer"], `${where}: pre_tokenizer`),
    postProcessor: parseStep(root["post_processor"], `${where}: post_processor`),
    decoder: parseStep(root["decoder"], `${where}: decoder`),
  }
}

/** Old files leave the model's type out; its fields tell. */
function modelTypeOf(model: JsonObject, where: string): string {
  const type = model["type"] ?? (Array.isArray(model["vocab"]) ? "Unigram" : "merges" in model ? "BPE" : "WordPiece")
  const known = ["BPE", "Unigram", "WordPiece", "WordLevel"]
  if (typeof type === "string" && known.includes(type)) return type
  throw new ConfigError(`${where}: model.type is ${describe(type)}; known are ${known.join(", ")}`)
}

export function parseStep(value: unknown, what: string): StepConfig | null {
  if (value === null || value === undefined) return null
  const step = asObject(value, what)
  const type = step["type"]
  if (typeof type !== "string") throw new ConfigError(`${what}.type must be a string, found ${describe(type)}`)
  return { ...step, type }
}

/** The steps of a "Sequence" under its list's name, or the step alone. */
export function stepList(step: StepConfig | null, listName: string, what: string): StepConfig[] {
  if (step === null) return []
  if (step.type !== "Sequence") return [step]
  const list = step[listName]
  if (!Array.isArray(list)) throw new ConfigError(`${what}.${listName} must be a list, found ${describe(list)}`)
  return list.flatMap((item: unknown, i) => {
    const inner = parseStep(item, `${what}.${listName}[${i}]`)
    return inner?.type === "Sequence" ? stepList(inner, listName, what) : inner === null ? [] : [inner]
  })
}

function vocabTable(value: unknown, where: string): PieceTable {
  const object = asObject(value, `${where}: model.vocab`)
  const pieces = Object.keys(object)
  if (pieces.length === 0) throw new ConfigError(`${where}: model.vocab is empty`)
  const vocab = new PieceTable(pieces.length)
  for (const piece of pieces) {
    const id = object[piece]
    if (typeof id !== "number") throw new ConfigError(`${where}: the id of ${JSON.stringify(piece)} is ${describe(id)}`)
    checkId(piece, id, pieces.length, where)
    vocab.add(piece, id)
  }
  return vocab
}

function unigramVocab(value: unknown, where: string): PieceTable {
  if (!Array.isArray(value)) throw new ConfigError(`${where}: model.vocab must be a list, found ${describe(value)}`)
  if (value.length === 0) throw new ConfigError(`${where}: model.vocab is empty`)
  const vocab = new PieceTable(value.length)
  value.forEach((entry: unknown, id) => {
    const [piece, score] = Array.isArray(entry) ? (entry as unknown[]) : []
    if (typeof piece !== "string" || typeof score !== "number") {
      throw new ConfigError(`${where}: model.vocab[${id}] must be [piece, score], found ${describe(entry)}`)
    }
    vocab.add(piece, id)
  })
  return vocab
}

function parseMerges(value: unknown, where: string): (string | Merge)[] {
  if (!Array.isArray(value)) throw new ConfigError(`${where}: model.merges must be a list, found ${describe(value)}`)
  for (let i = 0; i < value.length; i++) {
    const merge: unknown = value[i]
    if (typeof merge === "string") continue
    if (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string")) continue
    throw new ConfigError(`${where}: model.merges[${i}] must be a pair of pieces, found ${describe(merge)}`)
  }
  return value as (string | Merge)[]
}

function parseAddedTokens(value: unknown, where: string): AddedTokenConfig[] {
  if (!Array.isArray(value)) throw new ConfigError(`${where}: added_tokens must be a list, found ${describe(value)}`)
  return value.map((entry: unknown, i) => parseAddedToken(entry, undefined, `${where}: added_tokens[${i}]`))
}

/** One added token; `id` where the file keeps ids outside the entry. */
export function parseAddedToken(value: unknown, id: number | undefined, what: string): AddedTokenConfig {
  const entry = asObject(value, what)
  const tokenId = id ?? entry["id"]
  const content = entry["content"]
  if (typeof tokenId !== "number") throw new ConfigError(`${what}.id must be a number, found ${describe(tokenId)}`)
  if (typeof content !== "string" || content === "") {
    throw new ConfigError(`${what}.content must be a non-empty string, found ${describe(content)}`)
  }
  const special = entry["special"] === true
  return {
    id: tokenId,
    content,
    special,
    normalized: typeof entry["normalized"] === "boolean" ? entry["normalized"] : !special,
    lstrip: entry["lstrip"] === true,
    rstrip: entry["rstrip"] === true,
    singleWord: entry["single_word"] === true,
  }
}

/**
 * Ids index arrays, so they must be whole and near the number of entries: a small file must not make us allocate for a
 * vocabulary of billions. Real vocabularies leave gaps (reserved ids), hence the factor.
 */
export function checkId(piece: string, id: number, numEntries: number, where: string): void {
  const limit = 16 * numEntries + 65_536
  if (Number.isInteger(id) && id >= 0 && id < limit) return
  throw new ConfigError(
    `${where}: the id of ${JSON.stringify(piece)} is ${id}, which is not a whole number in [0, ${limit})`,
  )
}
