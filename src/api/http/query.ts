/** Values behind a URL's question mark. Errors: `RequestError` of type "Bad Request" on "query.<name>". */
import { shapeError } from "../schema/parse.ts"

const TRUE_WORDS: ReadonlySet<string> = new Set(["true", "1", "yes", "on"])
const FALSE_WORDS: ReadonlySet<string> = new Set(["false", "0", "no", "off"])

export function readFlag(query: URLSearchParams, name: string, byDefault: boolean): boolean {
  const value = query.get(name)?.toLowerCase()
  if (value === undefined) return byDefault
  if (TRUE_WORDS.has(value)) return true
  if (FALSE_WORDS.has(value)) return false
  throw wrong(name, "true or false", value)
}

/** Null when it is not there. */
export function readInteger(query: URLSearchParams, name: string): number | null {
  const value = query.get(name)
  if (value === null) return null
  if (/^-?\d{1,15}$/.test(value)) return Number(value)
  throw wrong(name, "an integer", value)
}

export function readWord<W extends string>(
  query: URLSearchParams, name: string, words: readonly W[], byDefault: W,
): W {
  const value = query.get(name) ?? byDefault
  const word = words.find((known) => known === value)
  if (word !== undefined) return word
  throw wrong(name, words.map((known) => JSON.stringify(known)).join(" or "), value)
}

function wrong(name: string, wanted: string, value: string): Error {
  return shapeError(`query.${name}`, `Input should be ${wanted}, got ${JSON.stringify(value.slice(0, 40))}`)
}
