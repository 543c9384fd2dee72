/** Filters over text and numbers. */
import { calculate, negate } from "./arithmetic.ts"
import { bind, integerArgument, textArgument } from "./arguments.ts"
import { codePointLength, sliceCodePoints } from "./code-points.ts"
import { TemplateError, TemplateFault, typeError, valueError } from "./errors.ts"
import { formatFloat } from "./format-spec.ts"
import { escapeHtml, escapeText, stripTags } from "./html.ts"
import { toJson } from "./json.ts"
import type { Limits } from "./limits.ts"
import { divide, parseFloatText, parseIntText, round, truncate } from "./numbers.ts"
import { isIterable, isTrue, lengthOf, listOf, numberOrNull } from "./operators.ts"
import { formatPercent } from "./percent-format.ts"
import { replaceEach } from "./replace-each.ts"
import { str } from "./representation.ts"
import type { Filter, Runtime } from "./runtime.ts"
import { replace, splitFromEnd } from "./string-search.ts"
import { callStringMethod, linesOf } from "./string-methods.ts"
import { Dict, isText, Markup, textOf, Tuple, typeName, Undefined, type Value } from "./values.ts"
import { wrapText } from "./wrap-text.ts"

/** `soft_str(value)`: markup stays markup. */
function softText(value: Value, limits: Limits): string | Markup {
  return isText(value) ? value : str(value, limits)
}

/** A filter that is a method of str, over the text of any value. */
const method = (name: string, parameters: readonly string[] = [], defaults: readonly Value[] = []): Filter =>
  (value, args, runtime) => {
    const given = bind(name, args, parameters).map((each, i) => each ?? defaults[i]!)
    return callStringMethod(softText(value, runtime.limits), name, runtime, ...given)
  }

/** Words begin at hyphens, brackets and white space; their first letters are made large. */
const title: Filter = (value, args, { limits }) => {
  bind("title", args, [])
  const text = softText(value, limits)
  const result = replaceEach(textOf(text), /[^-\s({[<\x1c-\x1f\x85]+/gu, limits, ([word]) => {
    const first = String.fromCodePoint(word.codePointAt(0)!)
    return first.toUpperCase() + word.slice(first.length).toLowerCase()
  })
  return text instanceof Markup ? new Markup(result) : result
}

const indent: Filter = (value, args, { limits }) => {
  const [width, first, blank] = bind("indent", args, ["width", "first", "blank"])
  if (value instanceof Undefined) value.fail()
  if (!isText(value)) throw typeError(`unsupported operand type(s) for +=: '${typeName(value)}' and 'str'`)
  const given = width ?? 4n
  const unit = isText(given) ? textOf(given) : spaces(integerArgument("indent", given), limits)
  const lines = linesOf(`${textOf(value)}\n`, false, limits)
  limits.text(textOf(value).length + lines.length * unit.length)
  const keepsBlank = blank !== undefined && isTrue(blank)
  const indented = lines.map((line, i) => (i > 0 && (keepsBlank || line !== "") ? unit + line : line)).join("\n")
  const text = first !== undefined && isTrue(first) ? unit + indented : indented
  return value instanceof Markup ? new Markup(text) : text
}

function spaces(width: number, limits: Limits): string {
  limits.text(Math.max(width, 0))
  return " ".repeat(Math.max(width, 0))
}

const truncated: Filter = (value, args, { limits }) => {
  const [length, killWords, end, leeway] = bind("truncate", args, ["length", "killwords", "end", "leeway"])
  const most = length === undefined ? 255 : integerArgument("truncate", length)
  const ellipsis = end === undefined ? "..." : textArgument("truncate", end)
  const tolerance = (leeway ?? null) === null ? 5 : integerArgument("truncate", leeway!)
  const kept = most - codePointLength(ellipsis)
  if (kept < 0 || tolerance < 0) {
    throw valueError(`truncate(): expected length >= ${codePointLength(ellipsis)}, got ${most}`)
  }
  if (lengthOf(value, limits) <= most + tolerance) return value
  if (!isText(value)) throw typeError(`a ${typeName(value)} cannot be truncated`)
  const text = textOf(value)
  limits.text(text.length)
  const head = sliceCodePoints(text, 0, kept)
  return (killWords !== undefined && isTrue(killWords) ? head : splitFromEnd(head, " ", 1, limits)[0]!) + ellipsis
}

const replaced: Filter = (value, args, { limits }) => {
  const [old, by, count] = bind("replace", args, ["old", "new", "count"], 2)
  const times = (count ?? null) === null ? -1 : integerArgument("replace", count!)
  return replace(str(value, limits), str(old!, limits), str(by!, limits), times, limits)
}

const format: Filter = (value, args, { limits }) => {
  if (args.positional.length > 0 && args.named.size > 0) {
    throw new TemplateFault("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
  }
  const values = args.named.size > 0 ? new Dict(args.named) : new Tuple(args.positional)
  return formatPercent(textOf(softText(value, limits)), values, limits)
}

const toInteger: Filter = (value, args) => {
  const [fallback, base] = bind("int", args, ["default", "base"])
  const otherwise = fallback ?? 0n
  if (value instanceof Undefined) value.fail()
  if (isText(value)) {
    const text = textOf(value)
    const whole = parseIntText(text, base === undefined ? 10 : integerArgument("int", base))
    if (whole !== null) return whole
    const float = parseFloatText(text)
    return float === null || !Number.isFinite(float) ? otherwise : truncate(float)
  }
  const number = numberOrNull(value)
  if (number === null || Number.isNaN(number)) return otherwise
  return typeof number === "bigint" ? number : truncate(number)
}

const toFloat: Filter = (value, args) => {
  const [fallback] = bind("float", args, ["default"])
  if (value instanceof Undefined) value.fail()
  const number = isText(value) ? parseFloatText(textOf(value)) : numberOrNull(value)
  return number === null ? (fallback ?? 0) : Number(number)
}

const rounded: Filter = (value, args, { limits }) => {
  const [precision, method] = bind("round", args, ["precision", "method"])
  const digits = precision === undefined ? 0 : integerArgument("round", precision)
  const name = method === undefined ? "common" : textArgument("round", method)
  const number = numberOrNull(value)
  if (number === null) throw typeError(`type ${typeName(value)} doesn't define __round__ method`)
  if (name === "common") return round(number, digits)
  if (name !== "ceil" && name !== "floor") {
    throw new TemplateFault("FilterArgumentError", "method must be common, ceil or floor")
  }
  const unit = calculate("**", 10n, BigInt(digits), limits) as bigint | number
  const scaled = Number(calculate("*", number, unit, limits))
  const whole = truncate(name === "ceil" ? Math.ceil(scaled) : Math.floor(scaled))
  return divide(whole, unit)
}

const absolute: Filter = (value, args) => {
  bind("abs", args, [])
  const number = numberOrNull(value)
  if (number === null) throw typeError(`bad operand type for abs(): '${typeName(value)}'`)
  return number < 0 || Object.is(number, -0) ? negate(number, "-") : number
}

const fileSize: Filter = (value, args) => {
  const [binary] = bind("filesizeformat", args, ["binary"])
  const isBinary = binary !== undefined && isTrue(binary)
  const bytes = numberOrNull(value) ?? (isText(value) ? parseFloatText(textOf(value)) : null)
  if (bytes === null) throw typeError(`filesizeformat takes a number, not ${typeName(value)}`)
  const size = Number(bytes)
  const base = isBinary ? 1024 : 1000
  if (size === 1) return "1 Byte"
  if (size < base) return `${Math.trunc(size)} Bytes`
  const names = isBinary
    ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
  const power = names.findIndex((_, i) => size < base ** (i + 2))
  const unit = power < 0 ? names.length - 1 : power
  return `${formatFloat(size / base ** (unit + 1), "f", 1, false)} ${names[unit]}`
}

function quoteUrl(text: string, forQuery: boolean, limits: Limits): string {
  limits.text(text.length * 3)
  let quoted: string
  try {
    quoted = encodeURIComponent(text)
  } catch {
    throw valueError("urlencode(): the text holds half a surrogate pair")
  }
  quoted = quoted.replace(/[!*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return forQuery ? quoted.replaceAll("%20", "+") : quoted.replaceAll("%2F", "/")
}

const urlEncode: Filter = (value, args, { limits }) => {
  bind("urlencode", args, [])
  if (isText(value) || !isIterable(value)) return quoteUrl(str(value, limits), false, limits)
  const pairs = value instanceof Dict ? [...value.entries()] : listOf(value, limits).map((pair) => listOf(pair, limits))
  const parts = pairs.map((pair) => {
    if (pair.length !== 2) throw valueError("urlencode takes pairs of a key and a value")
    return pair.map((part) => quoteUrl(str(part, limits), true, limits)).join("=")
  })
  limits.text(parts.reduce((length, part) => length + part.length + 1, 0))
  return parts.join("&")
}

const xmlAttributes: Filter = (value, args, { limits }) => {
  const [autospace] = bind("xmlattr", args, ["autospace"])
  if (!(value instanceof Dict)) throw typeError(`xmlattr takes a dict, not ${typeName(value)}`)
  const parts: string[] = []
  for (const [key, entry] of value.entries()) {
    if (entry === null || entry instanceof Undefined) continue
    if (/[\s/>=]/.test(textArgument("xmlattr", key))) {
      throw valueError(`Invalid character in attribute name: ${str(key, limits)}`)
    }
    parts.push(`${escapeHtml(key, limits)}="${escapeHtml(entry, limits)}"`)
  }
  const text = parts.join(" ")
  return text !== "" && (autospace === undefined || isTrue(autospace)) ? ` ${text}` : text
}

const wordWrap: Filter = (value, args, { limits }) => {
  const [width, breakLong, wrapString, onHyphens] =
    bind("wordwrap", args, ["width", "break_long_words", "wrapstring", "break_on_hyphens"])
  const between = (wrapString ?? null) === null ? "\n" : textArgument("wordwrap", wrapString!)
  const lines = linesOf(textArgument("wordwrap", value), false, limits).map((line) =>
    wrapText(line, {
      width: width === undefined ? 79 : integerArgument("wordwrap", width),
      breakLongWords: breakLong === undefined || isTrue(breakLong),
      breakOnHyphens: onHyphens === undefined || isTrue(onHyphens),
    }, limits))
  limits.text(lines.flat().reduce((length, line) => length + line.length + between.length, 0))
  return lines.map((line) => line.join(between)).join(between)
}

const defaultValue: Filter = (value, args) => {
  const [fallback, boolean] = bind("default", args, ["default_value", "boolean"])
  const isMissing = value instanceof Undefined || (boolean !== undefined && isTrue(boolean) && !isTrue(value))
  return isMissing ? (fallback ?? (fallback === null ? null : "")) : value
}

const notSupported = (name: string): Filter => () => {
  throw new TemplateError(`the filter ${name} is not supported`)
}

const escape: Filter = (value, _, { limits }) => new Markup(escapeHtml(value, limits))

export const TEXT_FILTERS: readonly [string, Filter][] = [
  ["abs", absolute],
  ["capitalize", method("capitalize")],
  ["center", method("center", ["width"], [80n])],
  ["d", defaultValue],
  ["default", defaultValue],
  ["e", escape],
  ["escape", escape],
  ["filesizeformat", fileSize],
  ["float", toFloat],
  ["forceescape", (value, _, { limits }) => new Markup(escapeText(str(value, limits), limits))],
  ["format", format],
  ["indent", indent],
  ["int", toInteger],
  ["lower", method("lower")],
  ["pprint", notSupported("pprint")],
  ["replace", replaced],
  ["round", rounded],
  ["safe", (value, _, { limits }) => new Markup(str(value, limits))],
  ["string", (value, _, { limits }) => softText(value, limits)],
  ["striptags", (value, _, { limits }) => stripTags(str(value, limits), limits)],
  ["title", title],
  ["tojson", (value, args, { limits }) => toJson(value, args, limits)],
  ["trim", (value, args, runtime: Runtime) => {
    const [chars] = bind("trim", args, ["chars"])
    return callStringMethod(softText(value, runtime.limits), "strip", runtime, chars ?? null)
  }],
  ["truncate", truncated],
  ["upper", method("upper")],
  ["urlencode", urlEncode],
  ["urlize", notSupported("urlize")],
  ["wordcount", (value, _, { limits }) => {
    let count = 0n
    replaceEach(str(value, limits), /[\p{L}\p{N}_]+/gu, limits, ([word]) => {
      count++
      return word
    })
    return count
  }],
  ["wordwrap", wordWrap],
  ["xmlattr", xmlAttributes],
]
