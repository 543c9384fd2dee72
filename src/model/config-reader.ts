import { ConfigError } from "../base/errors.ts"
import { isHarmless } from "./harmless-keys.ts"

export interface Range {
  readonly min?: number
  readonly max?: number
}

/**
 * Reads a model's config.json strictly, and remembers what was read: a key that nobody read may be a difference in the
 * mathematics that nobody implemented. As in Hugging Face, null means absent.
 *
 * Errors: every method throws `ConfigError` naming the key and the value.
 */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #prefix: string
  readonly #read = new Set<string>()
  readonly #sections: ConfigReader[] = []

  constructor(values: Readonly<Record<string, unknown>>, prefix = "") {
    this.#values = values
    this.#prefix = prefix
  }

  has(key: string): boolean {
    return this.#get(key) !== null
  }

  /** Whether the key is there, with null too: for the few whose null is not their default. */
  states(key: string): boolean {
    return Object.hasOwn(this.#values, key)
  }

  int(key: string, range: Range, fallback?: number): number {
    return this.optionalInt(key, range) ?? this.#orFail(key, fallback)
  }

  optionalInt(key: string, range: Range): number | null {
    const value = this.#take(key)
    if (value === null) return null
    if (!Number.isSafeInteger(value)) throw this.#wrong(key, "an integer")
    return this.#within(key, value as number, range)
  }

  float(key: string, range: Range, fallback?: number): number {
    return this.optionalFloat(key, range) ?? this.#orFail(key, fallback)
  }

  optionalFloat(key: string, range: Range): number | null {
    const value = this.#take(key)
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(key, "a number")
    return this.#within(key, value, range)
  }

  bool(key: string, fallback: boolean): boolean {
    const value = this.#take(key) ?? fallback
    if (typeof value !== "boolean") throw this.#wrong(key, "true or false")
    return value
  }

  /** Without a fallback the key is needed. */
  string(key: string, fallback?: string): string {
    return this.optionalString(key) ?? this.#orFail(key, fallback)
  }

  optionalString(key: string): string | null {
    const value = this.#take(key)
    if (value !== null && typeof value !== "string") throw this.#wrong(key, "a string")
    return value
  }

  /** `choices` maps what the file may say to what it means. */
  choice<T>(key: string, choices: Readonly<Record<string, T>>, fallback?: string): T {
    const value = this.string(key, fallback)
    const chosen = Object.hasOwn(choices, value) ? choices[value] : undefined
    if (chosen === undefined) throw this.#wrong(key, `one of ${Object.keys(choices).join(", ")}`, value)
    return chosen
  }

  strings(key: string): readonly string[] | null {
    const value = this.#take(key)
    if (value === null) return null
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      throw this.#wrong(key, "a list of strings")
    return value as string[]
  }

  floats(key: string): readonly number[] | null {
    const value = this.#take(key)
    if (value === null) return null
    if (!Array.isArray(value) || !value.every((item) => Number.isFinite(item)))
      throw this.#wrong(key, "a list of numbers")
    return value as number[]
  }

  /** The same with infinite ones, which are objects where Python has written the file. */
  extendedFloats(key: string): readonly number[] | null {
    const value = this.#take(key)
    if (value === null) return null
    const items: unknown[] = Array.isArray(value) ? value.map(extended) : [NaN]
    if (!items.every((item) => typeof item === "number" && !Number.isNaN(item)))
      throw this.#wrong(key, "a list of numbers")
    return items as number[]
  }

  /** One integer or a list of them; empty when absent. */
  intList(key: string, range: Range): readonly number[] {
    const value = this.#take(key) ?? []
    const items: unknown[] = Array.isArray(value) ? value : [value]
    if (!items.every((item) => Number.isSafeInteger(item))) throw this.#wrong(key, "an integer or a list of integers")
    return items.map((item) => this.#within(key, item as number, range))
  }

  /** A nested object, or null. Its keys are checked with its owner's. */
  section(key: string): ConfigReader | null {
    const value = this.#take(key)
    if (value === null) return null
    if (typeof value !== "object" || Array.isArray(value)) throw this.#wrong(key, "an object")
    const section = new ConfigReader(value as Record<string, unknown>, `${this.#prefix}${key}.`)
    this.#sections.push(section)
    return section
  }

  /** Another name of a value that is known: with the same value it is read, with another it stays an unknown key. */
  alias(key: string, value: number): void {
    if (this.#get(key) === value) this.#read.add(key)
  }

  /** A key that is understood with one value only. */
  expect(key: string, value: boolean | number | string): void {
    const found = this.#take(key)
    if (found !== null && found !== value) throw this.#wrong(key, `${value} (nothing else is supported)`)
  }

  /**
   * Errors: `ConfigError` for keys, here and in sections, that were not read, are not known to be harmless and are not
   * in `ignorable`.
   */
  assertAllUnderstood(ignorable: ReadonlySet<string> = new Set()): void {
    const unread = this.#unread(ignorable)
    if (unread.length === 0) return
    const named = unread.slice(0, 5).map(([key, value]) => `${key} = ${show(value)}`)
    const more = unread.length > 5 ? ` and ${unread.length - 5} more` : ""
    throw new ConfigError(
      `the config has keys that may change the model's output and are not supported: ${named.join(", ")}${more}. ` +
        `HINT: where one of them changes nothing, --hf-overrides '{${JSON.stringify(unread[0]![0])}: null}' removes it`,
    )
  }

  #unread(ignorable: ReadonlySet<string>): [string, unknown][] {
    const own = Object.entries(this.#values)
      .filter(
        ([key, value]) => value !== null && !this.#read.has(key) && !isHarmless(key, value) && !ignorable.has(key),
      )
      .map(([key, value]): [string, unknown] => [this.#prefix + key, value])
    return own.concat(this.#sections.flatMap((section) => section.#unread(ignorable)))
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? null) : null
  }

  #take(key: string): unknown {
    this.#read.add(key)
    return this.#get(key)
  }

  #orFail<T>(key: string, fallback: T | undefined): T {
    if (fallback === undefined) throw new ConfigError(`config.json has no ${this.#prefix}${key}`)
    return fallback
  }

  #within(key: string, value: number, { min, max }: Range): number {
    if (min !== undefined && value < min) throw this.#wrong(key, `at least ${min}`)
    if (max !== undefined && value > max) throw this.#wrong(key, `at most ${max}`)
    return value
  }

  #wrong(key: string, wanted: string, value: unknown = this.#get(key)): ConfigError {
    return new ConfigError(`config.json: ${this.#prefix}${key} is ${show(value)}; it must be ${wanted}`)
  }
}

function extended(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value
  const word = (value as Record<string, unknown>)["__float__"]
  return word === "Infinity" ? Infinity : word === "-Infinity" ? -Infinity : value
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined"
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
