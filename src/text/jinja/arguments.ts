/** Arguments of calls: matched with parameters, and checked for their types. */
import { typeError } from "./errors.ts"
import { numberOrNull } from "./operators.ts"
import { isText, textOf, typeName, Undefined, type Arguments, type Value } from "./values.ts"

/** Values in the order of `parameters`, undefined where none is given; the first `required` have to be. */
export function bind(
  callee: string, args: Arguments, parameters: readonly string[], required = 0,
): (Value | undefined)[] {
  const { positional, named } = args
  if (positional.length > parameters.length) {
    throw typeError(`${callee}() takes at most ${parameters.length} arguments (${positional.length} given)`)
  }
  const values: (Value | undefined)[] = parameters.map((_, i) => positional[i])
  for (const [name, value] of named) {
    const i = parameters.indexOf(name)
    if (i < 0) throw typeError(`${callee}() got an unexpected keyword argument '${name}'`)
    if (values[i] !== undefined) throw typeError(`${callee}() got multiple values for argument '${name}'`)
    values[i] = value
  }
  for (let i = 0; i < required; i++) {
    if (values[i] === undefined) throw typeError(`${callee}() missing required argument '${parameters[i]}'`)
  }
  return values
}

/** Of functions that take no names: between `least` and `most` values. */
export function bindPositional(callee: string, args: Arguments, least: number, most: number): readonly Value[] {
  if (args.named.size > 0) throw typeError(`${callee}() takes no keyword arguments`)
  const { length } = args.positional
  if (length < least || length > most) {
    const expected = least === most ? String(least) : `${least} to ${most}`
    throw typeError(`${callee}() takes ${expected} arguments (${length} given)`)
  }
  return args.positional
}

export function textArgument(callee: string, value: Value): string {
  if (isText(value)) return textOf(value)
  throw typeError(`${callee}() argument must be str, not ${typeName(value)}`)
}

/** An int or a bool; a count that no text or list can have is cut to 2^53. */
export function integerArgument(callee: string, value: Value): number {
  const number = numberOrNull(value)
  if (value instanceof Undefined) value.fail()
  if (typeof number !== "bigint") {
    throw typeError(`${callee}(): '${typeName(value)}' object cannot be interpreted as an integer`)
  }
  const bound = BigInt(Number.MAX_SAFE_INTEGER)
  return Number(number > bound ? bound : number < -bound ? -bound : number)
}
