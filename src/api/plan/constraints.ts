/** What a request holds its answer to, in all the forms that clients send, as one `GrammarSpec`. */
import { RequestError } from "../../base/errors.ts"
import type { GrammarSpec } from "../../core/grammar-spec.ts"
import { isRecord } from "../schema/coerce.ts"

const KINDS = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"] as const
type Kind = (typeof KINDS)[number]
const FORMATS: readonly unknown[] = ["text", "json_object", "json_schema", "structural_tag"]
const OPTIONS = ["disable_any_whitespace", "disable_additional_properties", "whitespace_pattern"]
/** How vLLM and its clients called the constraints before "structured_outputs". */
const OLD_NAMES: readonly (readonly [field: string, kind: Kind])[] = [
  ["guided_json", "json"], ["guided_regex", "regex"], ["guided_choice", "choice"], ["guided_grammar", "grammar"],
  ["guided_json_object", "json_object"],
]

type JsonObject = Readonly<Record<string, unknown>>

export interface ConstraintOptions {
  /** What the endpoint calls "response_format". */
  readonly formatField?: "response_format" | "text.format" | "output_config.format"
}

interface Constraint {
  /** The field that it came from. */
  readonly param: string
  readonly spec: GrammarSpec
}

/** Null: free text. Errors: `RequestError` for constraints that are malformed, or more than one. */
export function constraintOf(
  body: JsonObject, { formatField = "response_format" }: ConstraintOptions = {},
): GrammarSpec | null {
  const format = (body["response_format"] ?? null) as JsonObject | null
  const outputs = (body["structured_outputs"] ?? null) as JsonObject | null
  const asked: Constraint[] = []
  const formatted = format === null ? null : formatSpec(format, formatField, isCompact(outputs))
  if (formatted !== null) asked.push({ param: formatField, spec: formatted })
  // A format takes the place of the constraint of its own kind, and goes with no other.
  const outputKinds = outputs === null ? [] : kindsIn(outputs, formatted)
  if (outputs !== null && outputKinds[0] !== undefined) {
    asked.push({ param: "structured_outputs", spec: outputSpec(outputKinds[0], outputs, isCompact(outputs)) })
  }
  for (const [field, kind] of OLD_NAMES) {
    const value = body[field] ?? null
    if (value === null || value === false) continue
    asked.push({ param: field, spec: outputSpec(kind, { [kind]: value }, false) })
  }
  if (asked.length > 1) {
    const names = asked.map(({ param }) => param).join(" and ")
    throw new RequestError(`Only one constraint can hold for an answer, got ${names}.`, { param: asked[1]!.param })
  }
  return asked[0]?.spec ?? null
}

function formatSpec(format: JsonObject, param: string, isCompact: boolean): GrammarSpec | null {
  const { type } = format
  if (!FORMATS.includes(type)) {
    const got = JSON.stringify(type)
    throw new RequestError(`${param}.type must be one of ${FORMATS.join(", ")}, got ${got}.`, { param })
  }
  if (type === "text") return null
  if (type === "json_object") return { kind: "json_object", isCompact }
  if (type === "structural_tag") return { kind: "structural_tag", tag: JSON.stringify(format) }
  const described = format["json_schema"] ?? null
  if (described === null) {
    throw new RequestError(`When ${param} type is 'json_schema', the 'json_schema' field must be provided.`, { param })
  }
  const schema = isRecord(described) ? described["schema"] : undefined
  if (!isRecord(schema) && typeof schema !== "boolean") {
    const got = JSON.stringify(schema)
    throw new RequestError(`${param}.json_schema.schema must be a JSON schema, got ${got}.`, { param })
  }
  return { kind: "json_schema", schema: JSON.stringify(schema), isCompact }
}

function isCompact(outputs: JsonObject | null): boolean {
  return outputs?.["disable_any_whitespace"] === true
}

/** The kinds that "structured_outputs" asks for, but for the one that the format stands for. */
function kindsIn(outputs: JsonObject, formatted: GrammarSpec | null): Kind[] {
  const param = "structured_outputs"
  for (const field of Object.keys(outputs)) {
    if ((KINDS as readonly string[]).includes(field) || OPTIONS.includes(field)) continue
    throw new RequestError(`${param} has no field ${JSON.stringify(field.slice(0, 60))}.`, { param })
  }
  refuseOption(outputs, "whitespace_pattern", "blanks are any, or none with disable_any_whitespace")
  refuseOption(outputs, "disable_additional_properties", "say \"additionalProperties\": false in the schema")
  const asked = KINDS.filter((kind) => (outputs[kind] ?? null) !== null)
  if (asked.length > 1) {
    throw new RequestError(`${param} takes one kind of constraint, got ${asked.join(" and ")}.`, { param })
  }
  if (formatted === null && asked.length === 0) {
    throw new RequestError(`${param} must have one of ${KINDS.join(", ")}.`, { param })
  }
  return asked.filter((kind) => formatted === null || kind !== kindOf(formatted))
}

function kindOf({ kind }: GrammarSpec): string {
  return kind === "json_schema" ? "json" : kind
}

function refuseOption(outputs: JsonObject, field: string, instead: string): void {
  const value = outputs[field] ?? null
  if (value === null || value === false) return
  throw new RequestError(`structured_outputs.${field} is not supported: ${instead}.`, { param: "structured_outputs" })
}

/** Errors have no param, as vLLM's have none. */
function outputSpec(kind: Kind, outputs: JsonObject, isCompact: boolean): GrammarSpec {
  const value = outputs[kind]
  switch (kind) {
    case "json": {
      if (typeof value === "string" && value.trim() !== "") return { kind: "json_schema", schema: value, isCompact }
      if (isRecord(value)) return { kind: "json_schema", schema: JSON.stringify(value), isCompact }
      throw new RequestError(`json must be a JSON schema, got ${shown(value)}.`)
    }
    case "json_object":
      if (value === true) return { kind: "json_object", isCompact }
      throw new RequestError(`json_object can only be true, got ${shown(value)}.`)
    case "regex":
      if (typeof value === "string") return { kind: "regex", pattern: value }
      throw new RequestError(`regex must be a text, got ${shown(value)}.`)
    case "choice":
      if (!Array.isArray(value) || !value.every((choice) => typeof choice === "string")) {
        throw new RequestError(`choice must be a list of texts, got ${shown(value)}.`)
      }
      if (value.length === 0) throw new RequestError("Choice '[]' cannot be an empty list")
      return { kind: "choice", choices: value }
    case "grammar":
      if (typeof value !== "string" || value.trim() === "") {
        throw new RequestError("grammar must be a text that is not blank.")
      }
      return isEbnf(value) ? { kind: "ebnf", grammar: value } : { kind: "lark", grammar: value }
    case "structural_tag":
      if (typeof value === "string" && value.trim() !== "") return { kind: "structural_tag", tag: value }
      throw new RequestError(`structural_tag must be JSON in a text, got ${shown(value)}.`)
  }
}

/** EBNF defines its rules with "::=", Lark with ":". Comments and quoted texts do not count. */
function isEbnf(grammar: string): boolean {
  return grammar.replaceAll(/"(?:[^"\\\n]|\\.)*"|#.*|\/\/.*/g, "").includes("::=")
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 60)
}
