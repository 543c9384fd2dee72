/** Python's `str` and `repr` of values. */
import { typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { floatText } from "./numbers.ts"
import { replaceEach } from "./replace-each.ts"
import { TextBuilder } from "./text-builder.ts"
import { Dict, DictView, Markup, Namespace, PythonObject, Tuple, Undefined, type Value } from "./values.ts"

/** More levels than any request has. */
const MAX_DEPTH = 250

/** `str(value)`; undefined is empty. */
export function str(value: Value, limits: Limits): string {
  if (typeof value === "string") return value
  if (value instanceof Markup) return value.value
  return value instanceof Undefined ? "" : repr(value, limits)
}

export function repr(value: Value, limits: Limits): string {
  if (!isContainer(value)) return plainRepr(value, limits)
  const output = new TextBuilder(limits)
  const write = (text: string): void => output.add(text)
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
    if (!isContainer(item)) return write(plainRepr(item, limits))
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
    } else if (item instanceof Namespace) {
      write("<Namespace ")
      visit(new Dict(item.entries()), depth + 1)
      write(">")
    } else {
      write(item instanceof DictView ? `${item.typeName}([` : "[")
      writeAll(item instanceof DictView ? item.items() : item, depth + 1)
      write(item instanceof DictView ? "])" : "]")
    }
  }
  visit(value, 0)
  return output.toString()
}

function isContainer(value: Value): value is readonly Value[] | Tuple | Dict | DictView | Namespace {
  return Array.isArray(value) || value instanceof Tuple || value instanceof Dict || value instanceof DictView ||
    value instanceof Namespace
}

function plainRepr(value: Exclude<Value, readonly Value[]>, limits: Limits): string {
  if (value === null) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  if (typeof value === "number") return floatText(value)
  if (typeof value === "string") return stringRepr(value, limits)
  if (value instanceof Markup) return `Markup(${stringRepr(value.value, limits)})`
  return value instanceof PythonObject ? value.text() : String(value)
}

/** Quotes, backslashes and what Python does not print: all white space but the space itself among it. */
const NOT_PLAIN = /[\\'"\p{C}\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/gu

function stringRepr(text: string, limits: Limits): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = replaceEach(text, NOT_PLAIN, limits, ([char]) => {
    if ((char === "'" || char === '"') && char !== quote) return char
    return ESCAPES[char] ?? (char === quote ? `\\${char}` : codeEscape(char.codePointAt(0)!))
  })
  return quote + escaped + quote
}

/** `ascii(value)` of what `repr` gave. */
export function escapeNonAscii(text: string, limits: Limits): string {
  return replaceEach(text, /[^\0-\x7f]/gu, limits, ([char]) => codeEscape(char.codePointAt(0)!))
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" }

function codeEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`
}
