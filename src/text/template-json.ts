/**
 * The `tojson` filter of chat templates: Python's `json.dumps` with the defaults transformers gives it (no ASCII
 * escapes, ", " and ": " between, keys as they come). Jinja's own HTML-safe filter is not what models were trained on.
 */

/** A value of the template interpreter: a tag, and what it holds (numbers, strings, lists, maps). */
export interface RuntimeValue {
  readonly type: string
  readonly value: unknown
}

export interface JsonStyle {
  /** Spaces a level, or the text to indent with; null keeps all on one line. */
  readonly indent: number | string | null
  readonly ensureAscii: boolean
  readonly separators: readonly [item: string, key: string] | null
  readonly sortKeys: boolean
}

/** More levels than any tool schema has; a template may nest without end. */
const MAX_DEPTH = 200

/** Throws an `Error` for what JSON cannot hold. */
export function templateJson(value: RuntimeValue, style: JsonStyle): string {
  const unit = typeof style.indent === "number" ? " ".repeat(Math.min(Math.max(style.indent, 0), 64)) : style.indent
  const [item, key] = style.separators ?? [unit === null ? ", " : ",", ": "]
  const text = (string: string): string => {
    const json = JSON.stringify(string)
    return style.ensureAscii
      ? json.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
      : json
  }
  const wrap = (open: string, parts: readonly string[], close: string, depth: number): string => {
    if (parts.length === 0) return open + close
    if (unit === null) return open + parts.join(item) + close
    const newline = "\n" + unit.repeat(depth + 1)
    return open + newline + parts.join(item + newline) + "\n" + unit.repeat(depth) + close
  }
  const write = ({ type, value }: RuntimeValue, depth: number): string => {
    if (depth > MAX_DEPTH) throw new Error(`tojson: more than ${MAX_DEPTH} levels`)
    if (type === "NullValue") return "null"
    if (typeof value === "string") return text(value)
    if (typeof value === "boolean") return String(value)
    if (typeof value === "bigint") return String(value)
    if (typeof value === "number") return type === "FloatValue" ? pythonFloat(value) : String(value)
    if (Array.isArray(value))
      return wrap(
        "[",
        (value as RuntimeValue[]).map((part) => write(part, depth + 1)),
        "]",
        depth,
      )
    if (value instanceof Map) {
      const entries = [...(value as Map<string, RuntimeValue>)]
      if (style.sortKeys) entries.sort(([a], [b]) => compareCodePoints(a, b))
      return wrap("{", entries.map(([name, part]) => text(name) + key + write(part, depth + 1)), "}", depth)
    }
    throw new Error(`tojson: ${type === "UndefinedValue" ? "the value is undefined" : `${type} is not JSON`}`)
  }
  return write(value, 0)
}

/** Python's `repr` of a float: exponents have two digits, and begin at 1e16. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity"
  const magnitude = Math.abs(value)
  if (value !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2")
  }
  if (Object.is(value, -0)) return "-0.0"
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

function compareCodePoints(a: string, b: string): number {
  const left = [...a]
  const right = [...b]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
    if (difference !== 0) return difference
  }
  return left.length - right.length
}
