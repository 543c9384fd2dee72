/** Gives the interpreter numbers as they were written: it makes integers of whole doubles, and knows no larger ones. */
import { Environment } from "@huggingface/jinja"
import { isInteger, isJsonNumber, type JsonNumber } from "../base/json-number.ts"
import type { RuntimeValue } from "./template-json.ts"

type NumberClass = new (value: number | bigint) => RuntimeValue

/** Sets a variable to a value of JSON, or to a function. */
export function setTemplateVariable(environment: Environment, name: string, value: unknown): void {
  const set = environment.set(name, value) as RuntimeValue
  if (isJsonNumber(value)) environment.setVariable(name, runtimeNumber(value) as never)
  else replaceNumbers(set, value)
}

/** In `runtime`, which was made of `value`. */
function replaceNumbers(runtime: RuntimeValue, value: unknown): void {
  if (typeof value !== "object" || value === null) return
  const parts = runtime.value as { [key: number]: RuntimeValue } | Map<string, RuntimeValue>
  for (const [key, part] of Object.entries(value)) {
    const own = parts instanceof Map ? parts.get(key) : parts[Number(key)]
    if (own === undefined) continue
    if (!(isJsonNumber(part))) replaceNumbers(own, part)
    else if (parts instanceof Map) parts.set(key, runtimeNumber(part))
    else parts[Number(key)] = runtimeNumber(part)
  }
}

function runtimeNumber(number: JsonNumber): RuntimeValue {
  const { integer, float } = numberClasses()
  return isInteger(number) ? new integer(BigInt(number.rawJSON)) : new float(Number(number.rawJSON))
}

let classes: { readonly integer: NumberClass; readonly float: NumberClass } | null = null

/** The interpreter's own, which it does not export. */
function numberClasses(): NonNullable<typeof classes> {
  const classOf = (value: number) => (new Environment().set("x", value) as object).constructor as NumberClass
  return (classes ??= { integer: classOf(1), float: classOf(0.5) })
}
