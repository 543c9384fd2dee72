/** What the `attribute` of filters names: a path of keys with dots, numbers in it being indexes. */
import type { Runtime } from "./runtime.ts"
import { isText, textOf, Undefined, type Value } from "./values.ts"

export type Getter = (item: Value) => Value

export interface GetterOptions {
  /** Strings are found in lower case, to be compared. */
  readonly ignoreCase?: boolean
  /** What stands for a value that is not there. */
  readonly fallback?: Value | undefined
}

export function itemGetter(path: Value | undefined, runtime: Runtime, options: GetterOptions = {}): Getter {
  const parts = pathParts(path)
  const { ignoreCase = false, fallback = null } = options
  return (item) => {
    let value = item
    for (const part of parts) {
      value = runtime.item(value, part)
      if (fallback !== null && value instanceof Undefined) value = fallback
    }
    return ignoreCase ? lowered(value) : value
  }
}

/** Several paths, separated by commas: a list of what they name. */
export function itemsGetter(paths: Value | undefined, runtime: Runtime, options: GetterOptions): Getter {
  const each = paths !== undefined && isText(paths) ? textOf(paths).split(",") : [paths]
  const getters = each.map((path) => itemGetter(path, runtime, options))
  return (item) => getters.map((get) => get(item))
}

function pathParts(path: Value | undefined): Value[] {
  if (path === undefined || path === null) return []
  if (!isText(path)) return [path]
  return textOf(path).split(".").map((part) => (/^\d+$/.test(part) ? BigInt(part) : part))
}

export function lowered(value: Value): Value {
  return isText(value) ? textOf(value).toLowerCase() : value
}

