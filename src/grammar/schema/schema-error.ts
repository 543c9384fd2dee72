/** A JSON schema, or a keyword of one, that no grammar can hold a text to. */
export class SchemaError extends Error {
  override readonly name = "SchemaError"
  /** What of the schema it is about; null for the schema itself. */
  readonly keyword: string | null
  /** JSON pointer of the schema that has the keyword; "" is the whole. */
  readonly path: string

  /** `reason` goes on after the keyword: "must be a number". */
  constructor(keyword: string | null, path: string, reason: string) {
    super(`${keyword === null ? "the schema" : `"${keyword}"`} at ${path === "" ? "the root" : path} ${reason}`)
    this.keyword = keyword
    this.path = path
  }
}

export function pointer(path: string, ...steps: readonly (string | number)[]): string {
  return path + steps.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
}
