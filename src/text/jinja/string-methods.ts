/** Methods of str. Those of markup give markup, and escape what they are given, as markupsafe's do. */
import { bind, bindPositional, integerArgument, textArgument } from "./arguments.ts"
import { formatBraces } from "./brace-format.ts"
import {
  codePointLength, codePoints, isLower, isSpace, isUpper, splitLines, strip, titleCase, type Sides,
} from "./code-points.ts"
import { requireUtf8 } from "./container-methods.ts"
import { typeError, valueError } from "./errors.ts"
import { center, oneCharacter, pad } from "./format-spec.ts"
import { escapeHtml } from "./html.ts"
import type { Limits } from "./limits.ts"
import { iterate } from "./operators.ts"
import { replaceEach } from "./replace-each.ts"
import type { Runtime } from "./runtime.ts"
import { collector, count, find, hasAffix, partition, replace, split, splitFromEnd } from "./string-search.ts"
import {
  Bytes, Dict, isText, Markup, Method, positional, textOf, Tuple, typeName, type Arguments, type Value,
} from "./values.ts"

type StringMethod = (text: string, args: Arguments, runtime: Runtime, name: string) => Value

/** Methods of markup whose arguments are not escaped. */
const TAKES_PLAIN = /split|partition|find|index|count|with$|^is|encode|format/

/** A method of `object` with its name, or undefined. */
export function stringMethod(object: string | Markup, name: string, runtime: Runtime): Method | undefined {
  const method = METHODS.get(name)
  if (method === undefined) return undefined
  if (typeof object === "string") return new Method(name, "str", (args) => method(object, args, runtime, name))
  return new Method(name, "Markup", (args) => {
    const values = TAKES_PLAIN.test(name) ? args.positional : args.positional.map((value) => escape(value, runtime))
    return asMarkup(method(object.value, { ...args, positional: values }, runtime, name))
  })
}

function escape(value: Value, { limits }: Runtime): Value {
  if (isText(value)) return escapeHtml(value, limits)
  return Array.isArray(value) ? (value as readonly Value[]).map((item) => escapeHtml(item, limits)) : value
}

function asMarkup(value: Value): Value {
  if (typeof value === "string") return new Markup(value)
  if (Array.isArray(value)) return (value as readonly Value[]).map(asMarkup)
  return value instanceof Tuple ? new Tuple(value.items.map(asMarkup)) : value
}

/** A method without arguments. */
const plain = (operate: (text: string) => string | boolean): StringMethod => (text, args, { limits }, name) => {
  bindPositional(name, args, 0, 0)
  limits.text(text.length)
  const result = operate(text)
  if (typeof result === "string") limits.text(result.length)
  return result
}

/** Of all characters, and of at least one. */
const all = (pattern: RegExp): StringMethod => plain((text) => pattern.test(text))

const stripped = (sides: Sides): StringMethod => (text, args, { limits }, name) => {
  const [chars] = bindPositional(name, args, 0, 1)
  limits.scan(text.length)
  return strip(text, (chars ?? null) === null ? null : textArgument(name, chars!), sides)
}

const justified = (align: "<" | ">" | "^"): StringMethod => (text, args, { limits }, name) => {
  const [width, fill] = bindPositional(name, args, 1, 2)
  const char = fill === undefined ? " " : oneCharacter(textArgument(name, fill))
  limits.scan(text.length)
  const columns = integerArgument(name, width!)
  return align === "^" ? center(text, columns, char, limits) : pad(text, columns, align, char, limits)
}

const splitter = (fromEnd: boolean): StringMethod => (text, args, { limits }, name) => {
  const [separator, most] = bind(name, args, ["sep", "maxsplit"])
  const by = (separator ?? null) === null ? null : textArgument(name, separator!)
  return (fromEnd ? splitFromEnd : split)(text, by, most === undefined ? -1 : integerArgument(name, most), limits)
}

const found = (fromEnd: boolean, isRequired: boolean): StringMethod => (text, args, { limits }, name) => {
  const index = find(name, text, args, fromEnd, limits)
  if (index < 0 && isRequired) throw valueError("substring not found")
  return BigInt(index)
}

const affixRemoved = (isPrefix: boolean): StringMethod => (text, args, _, name) => {
  const affix = textArgument(name, bindPositional(name, args, 1, 1)[0]!)
  if (affix === "" || !(isPrefix ? text.startsWith(affix) : text.endsWith(affix))) return text
  return isPrefix ? text.slice(affix.length) : text.slice(0, -affix.length)
}

const CASED = /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u

const METHODS: ReadonlyMap<string, StringMethod> = new Map<string, StringMethod>([
  ["capitalize", plain(capitalize)],
  ["casefold", (text, args, { limits }) => {
    bindPositional("casefold", args, 0, 0)
    return replaceEach(text.toLowerCase(), /[^\0-\x7fı]/gu, limits, ([char]) => char.toUpperCase().toLowerCase())
  }],
  ["center", justified("^")],
  ["count", (text, args, { limits }) => BigInt(count(text, args, limits))],
  ["encode", (text, args, { limits }) => {
    const [encoding] = bind("encode", args, ["encoding", "errors"])
    requireUtf8("encode", encoding)
    limits.text(text.length * 2)
    return new Bytes(new TextEncoder().encode(text))
  }],
  ["endswith", (text, args, { limits }) => hasAffix("endswith", text, args, limits)],
  ["expandtabs", (text, args, { limits }) => {
    const [size] = bind("expandtabs", args, ["tabsize"])
    return expandTabs(text, size === undefined ? 8 : integerArgument("expandtabs", size), limits)
  }],
  ["find", found(false, false)],
  ["format", (text, args, runtime) => formatBraces(text, args, runtime)],
  ["format_map", (text, args, runtime) => {
    const [mapping] = bindPositional("format_map", args, 1, 1)
    if (!(mapping instanceof Dict)) throw typeError("format_map() takes a mapping")
    const named = new Map([...mapping.entries()].map(([key, value]) => [textArgument("format_map", key), value]))
    return formatBraces(text, { positional: [], named }, runtime)
  }],
  ["index", found(false, true)],
  ["isalnum", all(/^[\p{L}\p{N}]+$/u)],
  ["isalpha", all(/^\p{L}+$/u)],
  ["isascii", all(/^[\0-\x7f]*$/)],
  ["isdecimal", all(/^\p{Nd}+$/u)],
  ["isdigit", all(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐⓪⓵-⓽⓿❶-❾➀-➈➊-➒]+$/u)],
  ["isidentifier", all(/^[\p{XID_Start}_]\p{XID_Continue}*$/u)],
  ["islower", plain(isLower)],
  ["isnumeric", all(/^[\p{N}一二三四五六七八九十百千万億兆〇零壹贰叁肆伍陆柒捌玖拾]+$/u)],
  ["isprintable", all(/^(?:[^\p{C}\p{Z}]| )*$/u)],
  ["isspace", plain(isSpace)],
  ["istitle", (text, args, { limits }) => {
    bindPositional("istitle", args, 0, 0)
    return CASED.test(text) && titled(text, limits) === text
  }],
  ["isupper", plain(isUpper)],
  ["join", (text, args, { limits }) => joined(text, bindPositional("join", args, 1, 1)[0]!, limits)],
  ["ljust", justified("<")],
  ["lower", plain((text) => text.toLowerCase())],
  ["lstrip", stripped("left")],
  ["maketrans", (_, args) => translation(bindPositional("maketrans", args, 1, 3))],
  ["partition", (text, args, { limits }) => partition("partition", text, args, false, limits)],
  ["removeprefix", affixRemoved(true)],
  ["removesuffix", affixRemoved(false)],
  ["replace", (text, args, { limits }) => {
    const [old, by, most] = bind("replace", args, ["old", "new", "count"], 2)
    const times = most === undefined ? -1 : integerArgument("replace", most)
    return replace(text, textArgument("replace", old!), textArgument("replace", by!), times, limits)
  }],
  ["rfind", found(true, false)],
  ["rindex", found(true, true)],
  ["rjust", justified(">")],
  ["rpartition", (text, args, { limits }) => partition("rpartition", text, args, true, limits)],
  ["rsplit", splitter(true)],
  ["rstrip", stripped("right")],
  ["split", splitter(false)],
  ["splitlines", (text, args, { limits }) => {
    const [keepEnds] = bind("splitlines", args, ["keepends"])
    return linesOf(text, keepEnds !== undefined && integerArgument("splitlines", keepEnds) !== 0, limits)
  }],
  ["startswith", (text, args, { limits }) => hasAffix("startswith", text, args, limits)],
  ["strip", stripped("both")],
  ["swapcase", (text, args, { limits }) => {
    bindPositional("swapcase", args, 0, 0)
    return replaceEach(text, /\p{Lowercase}+|[\p{Uppercase}\p{Lt}]+/gu, limits, ([letters]) => (
      /^\p{Lowercase}/u.test(letters) ? letters.toUpperCase() : letters.toLowerCase()
    ))
  }],
  ["title", (text, args, { limits }) => {
    bindPositional("title", args, 0, 0)
    return titled(text, limits)
  }],
  ["translate", (text, args, { limits }) => translate(text, bindPositional("translate", args, 1, 1)[0]!, limits)],
  ["upper", plain((text) => text.toUpperCase())],
  ["zfill", (text, args, { limits }) => {
    const width = integerArgument("zfill", bindPositional("zfill", args, 1, 1)[0]!)
    const sign = /^[+-]/.exec(text)?.[0] ?? ""
    return sign + pad(text.slice(sign.length), width - sign.length, ">", "0", limits)
  }],
])

/** Calls a method of str from a filter of the same meaning. */
export function callStringMethod(object: string | Markup, name: string, runtime: Runtime, ...args: Value[]): Value {
  return stringMethod(object, name, runtime)!.call(positional(...args))
}

export function capitalize(text: string): string {
  const first = text === "" ? "" : String.fromCodePoint(text.codePointAt(0)!)
  return titleCase(first) + text.slice(first.length).toLowerCase()
}

/** `str.title()`: letters behind a letter are small. */
function titled(text: string, limits: Limits): string {
  return replaceEach(text, /[\p{Lowercase}\p{Uppercase}\p{Lt}]+/gu, limits, ([word]) => capitalize(word))
}

/** `text.splitlines(keepends)`. */
export function linesOf(text: string, keepEnds: boolean, limits: Limits): string[] {
  const lines: string[] = []
  const add = collector(lines, limits)
  limits.scan(text.length)
  for (const line of splitLines(text, keepEnds)) add(line)
  return lines
}

/** `separator.join(items)`. */
function joined(separator: string, items: Value, limits: Limits): string {
  const parts: string[] = []
  const add = collector(parts, limits)
  const iterator = iterate(items, limits)
  let length = 0
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
    if (!isText(next.value)) {
      throw typeError(`sequence item ${parts.length}: expected str instance, ${typeName(next.value)} found`)
    }
    const part = textOf(next.value)
    length += part.length + (parts.length > 0 ? separator.length : 0)
    add(part)
  }
  limits.text(length)
  return parts.join(separator)
}

function expandTabs(text: string, size: number, limits: Limits): string {
  let column = 0
  return replaceEach(text, /[\t\n\r]|[^\t\n\r]+/g, limits, ([part]) => {
    if (part !== "\t") {
      column = /[\n\r]/.test(part) ? 0 : column + codePointLength(part)
      return part
    }
    const spaces = size <= 0 ? 0 : size - (column % size)
    column += spaces
    limits.text(spaces)
    return " ".repeat(spaces)
  })
}

function translation([from, to, removed]: readonly Value[]): Dict {
  if (to === undefined) {
    if (!(from instanceof Dict)) throw typeError("if you give only one argument to maketrans it must be a dict")
    return new Dict([...from.entries()].map(([key, value]) => [isText(key) ? codeOf(textOf(key)) : key, value]))
  }
  const [keys, values] = [codePoints(textArgument("maketrans", from!)), codePoints(textArgument("maketrans", to))]
  if (keys.length !== values.length) throw valueError("the first two maketrans arguments must have equal length")
  const gone = removed === undefined ? [] : codePoints(textArgument("maketrans", removed))
  return new Dict([
    ...keys.map((key, i): [Value, Value] => [codeOf(key), codeOf(values[i]!)]),
    ...gone.map((key): [Value, Value] => [codeOf(key), null]),
  ])
}

function codeOf(char: string): bigint {
  return BigInt(char.codePointAt(0) ?? 0)
}

function translate(text: string, table: Value, limits: Limits): string {
  if (!(table instanceof Dict)) throw typeError("translate() takes a dict")
  limits.entries(text.length)
  let length = 0
  const parts = codePoints(text).map((char) => {
    const value = table.get(codeOf(char))
    const part = value === undefined ? char : value === null ? "" : typeof value === "bigint"
      ? String.fromCodePoint(Number(value))
      : textArgument("translate", value)
    length += part.length
    if (length > limits.maxText) limits.text(length)
    limits.step()
    return part
  })
  return parts.join("")
}
