/** `str.format`: fields in braces, with attributes, indexes, conversions and nested format specifications. */
import { TemplateFault, valueError } from "./errors.ts"
import { formatValue } from "./format-spec.ts"
import { escapeNonAscii, repr, str } from "./representation.ts"
import type { Runtime } from "./runtime.ts"
import { TextBuilder } from "./text-builder.ts"
import type { Arguments, Value } from "./values.ts"

/** Levels of fields within the specifications of fields, as Python has them. */
const MAX_DEPTH = 2

export function formatBraces(format: string, args: Arguments, runtime: Runtime): string {
  const { limits } = runtime
  let automatic = 0
  const valueOf = (field: string): Value => {
    const [, first, rest] = /^([^.[]*)(.*)$/s.exec(field)!
    let value: Value | undefined
    if (first === "") value = args.positional[automatic++]
    else value = /^\d+$/.test(first!) ? args.positional[Number(first)] : args.named.get(first!)
    if (value === undefined && /^\d*$/.test(first!)) {
      throw new TemplateFault("IndexError", "Replacement index out of range for positional args tuple")
    }
    if (value === undefined) throw new TemplateFault("KeyError", `'${first}'`)
    if (!/^(?:\.[^.[\]]+|\[[^\]]+\])*$/.test(rest!)) refuse(`a field of a format string cannot be read: ${field}`)
    for (const [, name, index] of rest!.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
      const key = index !== undefined && /^\d{1,15}$/.test(index) ? BigInt(index) : index!
      value = name !== undefined ? runtime.attribute(value, name) : runtime.item(value, key)
    }
    return value
  }
  const expand = (text: string, depth: number): string => {
    if (depth > MAX_DEPTH) throw valueError("Max string recursion exceeded")
    const output = new TextBuilder(limits)
    const write = (part: string): void => {
      limits.step()
      output.add(part)
    }
    for (let at = 0; at < text.length; ) {
      const brace = text.slice(at).search(/[{}]/)
      if (brace < 0) {
        write(text.slice(at))
        break
      }
      write(text.slice(at, at + brace))
      at += brace
      if (text[at] === text[at + 1]) {
        write(text[at]!)
        at += 2
        continue
      }
      if (text[at] === "}") throw valueError("Single '}' encountered in format string")
      const end = closingBrace(text, at)
      const [, field, conversion, spec] = /^([^!:]*)(?:!(.))?(?::(.*))?$/s.exec(text.slice(at + 1, end)) ??
        refuse("expected ':' after conversion specifier")
      const expanded = spec === undefined ? "" : expand(spec, depth + 1)
      write(formatValue(convert(valueOf(field!), conversion), expanded, limits))
      at = end + 1
    }
    return output.toString()
  }
  const convert = (value: Value, conversion: string | undefined): Value => {
    if (conversion === undefined) return value
    if (conversion === "s") return str(value, limits)
    if (conversion === "r") return repr(value, limits)
    if (conversion === "a") return escapeNonAscii(repr(value, limits), limits)
    return refuse(`Unknown conversion specifier '${conversion}'`)
  }
  limits.text(format.length)
  return expand(format, 1)
}

function closingBrace(text: string, start: number): number {
  for (let at = start, depth = 0; at < text.length; at++) {
    if (text[at] === "{") depth++
    else if (text[at] === "}" && --depth === 0) return at
  }
  return refuse("expected '}' before end of string")
}

function refuse(message: string): never {
  throw valueError(message)
}
