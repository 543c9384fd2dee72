/** Python's `str` and `repr` of values. */
import { typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { floatText } from "./numbers.ts"
import { Dict, DictView, Markup, PythonObject, Tuple, Undefined, type Value } from "./values.ts"

/** More levels than any request has. */
const MAX_DEPTH = 250

/** `str(value)`; undefined is empty. */
export function str(value: Value, limits: Limits): string {
  if (typeof value === "string") return value
  if (value instanceof Markup) return value.value
  return value instanceof Undefined ? "" : repr(value, limits)
}

export function repr(value: Value, limits: Limits): string {
  const parts: string[] = []
  let length = 0
  const write = (text: string): void => {
    length += text.length
    limits.text(length)
    parts.push(text)
  }
  const writeAll = (items: Iterable<Value>, depth: number): number => {
    let count = 0
    for (const item of items) {
      if (count++ > 0) write(", ")
      visit(item, depth)
    }
    return count
  }
  const visit = (item: Value, depth: number): void => {
    limits.step()
    if (depth > MAX_DEPTH) throw typeError(`a value is nested more than ${MAX_DEPTH} deep`)
    if (!isContainer(item)) return write(plainRepr(item))
    if (item instanceof Tuple) {
      write("(")
      write(writeAll(item.items, depth + 1) === 1 ? ",)" : ")")
    } else if (item instanceof Dict) {
      write("{")
      let count = 0
      for (const [key, entry] of item.entries()) {
        if (count++ > 0) write(", ")
        visit(key, depth + 1)
        write(": ")
        visit(entry, depth + 1)
      }
      write("}")
    } else {
      write(item instanceof DictView ? `${item.typeName}([` : "[")
      writeAll(item instanceof DictView ? item.items() : item, depth + 1)
      write(item instanceof DictView ? "])" : "]")
    }
  }
  visit(value, 0)
  return parts.join("")
}

function isContainer(value: Value): value is readonly Value[] | Tuple | Dict | DictView {
  return Array.isArray(value) || value instanceof Tuple || value instanceof Dict || value instanceof DictView
}

function plainRepr(value: Exclude<Value, readonly Value[]>): string {
  if (value === null) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  if (typeof value === "number") return floatText(value)
  if (typeof value === "string") return stringRepr(value)
  if (value instanceof Markup) return `Markup(${stringRepr(value.value)})`
  return value instanceof PythonObject ? value.text() : String(value)
}

export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replace(/[\\'"\p{C}\p{Z}]/gu, (char) => {
    if (char === " " || ((char === "'" || char === '"') && char !== quote)) return char
    return ESCAPES[char] ?? (char === quote ? `\\${char}` : codeEscape(char.codePointAt(0)!))
  })
  return quote + escaped + quote
}

/** `ascii(value)` of what `repr` gave. */
export function escapeNonAscii(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (char) => codeEscape(char.codePointAt(0)!))
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }

function codeEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`
}
