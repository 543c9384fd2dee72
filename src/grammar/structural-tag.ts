/**
 * Structural tags: free text in which tags may stand, and what has to stand in them. Both forms are read; JSON schemas
 * in them become grammars of ours, which leave out no keyword. Beside a schema, "path" says where it came from, for
 * errors, and "blanks": "one" leaves at most one space between the parts of its JSON.
 */
import { GrammarError } from "./grammar-error.ts"
import { schemaGrammar, type GrammarSource } from "./schema-grammar.ts"
import { isObject } from "./schema/references.ts"

type JsonObject = Readonly<Record<string, unknown>>

/** Errors: `GrammarError`. What is wrong with the new form beyond its schemas xgrammar says itself. */
export function readStructuralTag(tag: unknown): GrammarSource {
  if (!isObject(tag)) throw new GrammarError("the structural tag must be an object")
  const format = "structures" in tag ? fromOldForm(tag) : tag["format"]
  if (!isObject(format)) {
    throw new GrammarError("the structural tag must have \"format\", or \"structures\" and \"triggers\"")
  }
  const marks: string[] = []
  const text = JSON.stringify({ type: "structural_tag", format: rewrite(format, "format", marks) })
  return { kind: "structural_tag", text, marks }
}

/** `{structures: [{begin, schema, end}], triggers}`. */
function fromOldForm({ structures, triggers }: JsonObject): JsonObject {
  if (!Array.isArray(structures) || structures.length === 0) {
    throw new GrammarError("structures of a structural tag must be a list of at least one")
  }
  const isText = (value: unknown) => typeof value === "string"
  if (!Array.isArray(triggers) || triggers.length === 0 || !triggers.every((each) => isText(each) && each !== "")) {
    throw new GrammarError("triggers of a structural tag must be a list of texts that are not empty")
  }
  const tags = structures.map((structure: unknown, i) => {
    if (!isObject(structure) || !isText(structure["begin"]) || !isText(structure["end"])) {
      throw new GrammarError(`structures[${i}] of the structural tag must have the texts "begin" and "end"`)
    }
    const { begin, end, schema } = structure
    if (!triggers.some((trigger: string) => (begin as string).startsWith(trigger))) {
      throw new GrammarError(`structures[${i}].begin ${JSON.stringify(begin)} starts with none of the triggers`)
    }
    return { type: "tag", begin, content: { type: "json_schema", json_schema: schema ?? {} }, end }
  })
  return { type: "triggered_tags", triggers, tags }
}

/** The reasoning of an answer, which nothing is asked of but its end, and then the answer. Errors: `GrammarError`. */
export function afterReasoning(
  { starts, ends }: { readonly starts: readonly string[] | null; readonly ends: readonly string[] },
  answer: GrammarSource,
): GrammarSource {
  const content = { type: "any_text" }
  const tags = (starts ?? [""]).map((begin) => ({ type: "tag", begin, content, end: ends }))
  const reasoning = tags.length === 1 ? tags[0] : { type: "or", elements: tags }
  const elements = [starts === null ? reasoning : { type: "optional", content: reasoning }, formatOf(answer)]
  const text = JSON.stringify({ type: "structural_tag", format: { type: "sequence", elements } })
  return { kind: "structural_tag", text, marks: [...(starts ?? []), ...ends, ...answer.marks] }
}

function formatOf({ kind, text }: GrammarSource): unknown {
  switch (kind) {
    case "ebnf": return { type: "grammar", grammar: text }
    case "regex": return { type: "regex", pattern: text }
    case "structural_tag": return (JSON.parse(text) as JsonObject)["format"]
    default: throw new GrammarError(`a ${kind} grammar cannot follow reasoning: give it as EBNF`)
  }
}

const MARK_FIELDS = ["begin", "end", "trigger", "triggers", "value", "separator"]

/** Everything stays as it is but for JSON schemas. Texts of tags go to `marks`. */
function rewrite(value: unknown, path: string, marks: string[]): unknown {
  if (Array.isArray(value)) return value.map((each, i) => rewrite(each, `${path}[${i}]`, marks))
  if (!isObject(value)) return value
  for (const field of MARK_FIELDS) {
    for (const mark of [value[field]].flat()) if (typeof mark === "string") marks.push(mark)
  }
  const isSchema = value["type"] === "json_schema" && (value["style"] ?? "json") === "json"
  if (isSchema) return schemaAt(value, typeof value["path"] === "string" ? value["path"] : path)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rewrite(each, `${path}.${key}`, marks)]))
}

function schemaAt({ json_schema: schema, blanks }: JsonObject, path: string): JsonObject {
  try {
    return { type: "grammar", grammar: schemaGrammar(schema, blanks === "one" ? "one" : "any") }
  } catch (error) {
    if (error instanceof GrammarError) throw new GrammarError(`${path}: ${error.message}`)
    throw error
  }
}
