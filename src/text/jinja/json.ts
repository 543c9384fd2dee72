/**
 * The `tojson` filter of chat templates: Python's `json.dumps` with the defaults transformers gives it (no ASCII
 * escapes, keys as they come). Jinja's own HTML-safe filter is not what models were trained on.
 */
import { bind, textArgument } from "./arguments.ts"
import { typeError, valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { floatText } from "./numbers.ts"
import { isTrue, listOf, numberOrNull, sorted } from "./operators.ts"
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
  const style = readStyle(args, limits)
  const parts: string[] = []
  let length = 0
  const write = (text: string): void => {
    length += text.length
    limits.text(length)
    parts.push(text)
  }
  const newLine = (depth: number): void => {
    if (style.indent === null) return
    limits.text(length + style.indent.length * depth)
    write("\n" + style.indent.repeat(depth))
  }
  const block = (open: string, close: string, items: readonly (() => void)[], depth: number): void => {
    write(open)
    items.forEach((item, i) => {
      if (i > 0) write(style.itemSeparator)
      newLine(depth + 1)
      item()
    })
    if (items.length > 0) newLine(depth)
    write(close)
  }
  const visit = (item: Value, depth: number): void => {
    limits.step()
    if (depth > MAX_DEPTH) throw valueError(`tojson: a value is nested more than ${MAX_DEPTH} deep`)
    if (item === null) return write("null")
    if (typeof item === "boolean") return write(String(item))
    if (typeof item === "number") return write(jsonFloat(item))
    if (typeof item === "bigint") return write(String(item))
    if (isText(item)) return write(jsonString(textOf(item), style.ensureAscii, limits))
    const items = item instanceof Tuple ? item.items : item
    if (Array.isArray(items)) {
      return block("[", "]", (items as readonly Value[]).map((entry) => () => visit(entry, depth + 1)), depth)
    }
    if (!(item instanceof Dict)) throw typeError(`Object of type ${typeName(item)} is not JSON serializable`)
    const entries = style.sortKeys ? sorted([...item.entries()], ([key]) => key, false, limits) : [...item.entries()]
    block("{", "}", entries.map(([key, entry]) => () => {
      write(jsonString(keyText(key), style.ensureAscii, limits))
      write(style.keySeparator)
      visit(entry, depth + 1)
    }), depth)
  }
  visit(value, 0)
  return parts.join("")
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
  limits.text(text.length)
  const escaped = text.replace(ensureAscii ? /["\\]|[^ -~]/g : /["\\\0-\x1f]/g, (char) => {
    return ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  })
  return `"${escaped}"`
}
