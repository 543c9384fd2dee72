/**
 * The `tojson` filter of chat templates: Python's `json.dumps` with the defaults transformers gives it (no ASCII
 * escapes, keys as they come). Jinja's own HTML-safe filter is not what models were trained on.
 */
import { bind, textArgument } from "./arguments.ts"
import { typeError, valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { floatText } from "./numbers.ts"
import { isTrue, listOf, numberOrNull, sorted } from "./operators.ts"
import { replaceEach } from "./replace-each.ts"
import { TextBuilder } from "./text-builder.ts"
import { Dict, isText, textOf, Tuple, typeName, type Arguments, type Value } from "./values.ts"

/** More levels than any tool schema has; a template may nest without end. */
const MAX_DEPTH = 250

interface Style {
  /** What one level is indented with; null keeps all on one line. */
  readonly indent: string | null
  readonly ensureAscii: boolean
  readonly itemSeparator: string
  readonly keySeparator: string
  readonly sortKeys: boolean
}

export function toJson(value: Value, args: Arguments, limits: Limits): string {
  const writer = new JsonWriter(readStyle(args, limits), limits)
  writer.write(value, 0)
  return writer.output.toString()
}

class JsonWriter {
  readonly output: TextBuilder
  readonly #style: Style
  readonly #limits: Limits

  constructor(style: Style, limits: Limits) {
    this.#style = style
    this.#limits = limits
    this.output = new TextBuilder(limits)
  }

  write(value: Value, depth: number): void {
    this.#limits.step()
    if (depth > MAX_DEPTH) throw valueError(`tojson: a value is nested more than ${MAX_DEPTH} deep`)
    const items = value instanceof Tuple ? value.items : value
    if (Array.isArray(items)) return this.#writeList(items as readonly Value[], depth)
    if (value instanceof Dict) return this.#writeDict(value, depth)
    this.output.add(this.#scalar(value))
  }

  #scalar(value: Value): string {
    if (isText(value)) return this.#string(textOf(value))
    if (value === null) return "null"
    if (typeof value === "boolean" || typeof value === "bigint") return String(value)
    if (typeof value === "number") return jsonFloat(value)
    throw typeError(`Object of type ${typeName(value)} is not JSON serializable`)
  }

  #string(text: string): string {
    return jsonString(text, this.#style.ensureAscii, this.#limits)
  }

  #writeList(items: readonly Value[], depth: number): void {
    this.output.add("[")
    items.forEach((item, i) => {
      this.#separate(i, depth + 1)
      this.write(item, depth + 1)
    })
    if (items.length > 0) this.#newLine(depth)
    this.output.add("]")
  }

  #writeDict(dict: Dict, depth: number): void {
    const { sortKeys, keySeparator } = this.#style
    const entries = sortKeys ? sorted([...dict.entries()], ([key]) => key, false, this.#limits) : dict.entries()
    this.output.add("{")
    let count = 0
    for (const [key, value] of entries) {
      this.#separate(count++, depth + 1)
      this.output.add(this.#string(keyText(key)) + keySeparator)
      this.write(value, depth + 1)
    }
    if (count > 0) this.#newLine(depth)
    this.output.add("}")
  }

  #separate(index: number, depth: number): void {
    if (index > 0) this.output.add(this.#style.itemSeparator)
    this.#newLine(depth)
  }

  #newLine(depth: number): void {
    const { indent } = this.#style
    if (indent === null) return
    if (indent.length * depth > this.#limits.maxText) this.#limits.text(indent.length * depth)
    this.output.add("\n" + indent.repeat(depth))
  }
}

function readStyle(args: Arguments, limits: Limits): Style {
  const [ascii, indent, separators, sortKeys] =
    bind("tojson", args, ["ensure_ascii", "indent", "separators", "sort_keys"])
  const unit = indentText(indent ?? null, limits)
  const given = separators === undefined || separators === null ? null : listOf(separators, limits)
  if (given !== null && given.length !== 2) throw valueError("tojson(): separators have to be two strings")
  const [itemSeparator, keySeparator] = given === null
    ? [unit === null ? ", " : ",", ": "]
    : given.map((text) => textArgument("tojson", text)) as [string, string]
  return {
    indent: unit,
    ensureAscii: ascii !== undefined && isTrue(ascii),
    itemSeparator,
    keySeparator,
    sortKeys: sortKeys !== undefined && isTrue(sortKeys),
  }
}

function indentText(indent: Value, limits: Limits): string | null {
  if (indent === null) return null
  if (isText(indent)) return textOf(indent)
  const width = numberOrNull(indent)
  if (typeof width !== "bigint") throw typeError(`tojson(): indent must be an int or a str, not ${typeName(indent)}`)
  limits.text(width > 2n ** 40n ? 2 ** 40 : Math.max(0, Number(width)))
  return width <= 0n ? "" : " ".repeat(Number(width))
}

function jsonFloat(value: number): string {
  if (Number.isFinite(value)) return floatText(value)
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
}

function keyText(key: Value): string {
  if (isText(key)) return textOf(key)
  if (key === null) return "null"
  if (typeof key === "boolean" || typeof key === "bigint") return String(key)
  if (typeof key === "number") return jsonFloat(key)
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
}

function jsonString(text: string, ensureAscii: boolean, limits: Limits): string {
  if (!ensureAscii && text.isWellFormed()) {
    limits.text(text.length)
    return JSON.stringify(text)
  }
  // Unlike JavaScript, Python leaves half a surrogate pair as it is.
  const escaped = replaceEach(text, ensureAscii ? /["\\]|[^ -~]/g : /["\\\0-\x1f]/g, limits, ([char]) => (
    ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  ))
  return `"${escaped}"`
}
