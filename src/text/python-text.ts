/**
 * Values as Python writes them (`str` and `repr`): templates print what they print under Python's Jinja, where true is
 * "True" and a list has single quotes. The interpreter's own text is JavaScript's.
 */
import { pythonFloat, type RuntimeValue } from "./template-json.ts"

const MAX_DEPTH = 200

/** `str(value)`; undefined is empty, as in Jinja. */
export function pythonText(value: RuntimeValue): string {
  return typeof value.value === "string" ? value.value : value.type === "UndefinedValue" ? "" : pythonRepr(value, 0)
}

function pythonRepr({ type, value }: RuntimeValue, depth: number): string {
  if (depth > MAX_DEPTH) throw new Error(`a value of more than ${MAX_DEPTH} levels`)
  if (type === "NullValue") return "None"
  if (typeof value === "string") return stringRepr(value)
  if (typeof value === "boolean") return value ? "True" : "False"
  if (typeof value === "bigint") return String(value)
  if (typeof value === "number") return type === "FloatValue" ? pythonFloat(value) : String(value)
  if (Array.isArray(value)) {
    const parts = (value as RuntimeValue[]).map((part) => pythonRepr(part, depth + 1)).join(", ")
    if (type !== "TupleValue") return `[${parts}]`
    return value.length === 1 ? `(${parts},)` : `(${parts})`
  }
  if (value instanceof Map) {
    const entries = [...(value as Map<string, RuntimeValue>)]
    return `{${entries.map(([key, part]) => `${stringRepr(key)}: ${pythonRepr(part, depth + 1)}`).join(", ")}}`
  }
  return type === "UndefinedValue" ? "Undefined" : String(value)
}

function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replace(/[\\'"\p{C}\p{Z}]/gu, (char) => {
    if (char === " " || ((char === "'" || char === '"') && char !== quote)) return char
    return ESCAPES[char] ?? (char === quote ? `\\${char}` : codeEscape(char.codePointAt(0)!))
  })
  return quote + escaped + quote
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }

function codeEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`
}
