import { ConfigError } from "../../base/errors.ts"

/** Typed access to the metadata keys under one prefix; remembers which were read. Absent values are null. */
export class KeyReader {
  readonly path: string
  readonly #metadata: ReadonlyMap<string, unknown>
  readonly #prefix: string
  readonly #read = new Set<string>()

  constructor(metadata: ReadonlyMap<string, unknown>, prefix: string, path: string) {
    this.#metadata = metadata
    this.#prefix = prefix
    this.path = path
  }

  /** Some keys hold one value a layer; equal ones count as one. */
  int(key: string): number | null {
    const value = this.#take(key)
    if (value === null) return null
    const one = Array.isArray(value) && value.length > 0 && value.every((item) => item === value[0]) ? value[0] : value
    if (!Number.isSafeInteger(one))
      throw this.#wrong(key, Array.isArray(value) ? "the same integer for every layer" : "an integer")
    return one as number
  }

  /** Files write 2^32 - 1, or -1, for a token that there is none of. */
  tokenId(key: string): number | null {
    const id = this.int(key)
    return id === 0xffff_ffff || id === -1 ? null : id
  }

  /** A list of integers, or one; empty when absent. */
  ints(key: string): readonly number[] {
    const value = this.#take(key) ?? []
    const items: unknown[] = Array.isArray(value) ? value : [value]
    if (!items.every((item) => Number.isSafeInteger(item))) throw this.#wrong(key, "a list of integers")
    return items as number[]
  }

  needInt(key: string): number {
    return this.#orFail(key, this.int(key))
  }

  float(key: string): number | null {
    const value = this.#take(key)
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(key, "a number")
    return shortestFloat(value)
  }

  needFloat(key: string): number {
    return this.#orFail(key, this.float(key))
  }

  string(key: string): string | null {
    const value = this.#take(key)
    if (value !== null && typeof value !== "string") throw this.#wrong(key, "a string")
    return value
  }

  /** A key that is understood with one value only. */
  expect(key: string, wanted: number | boolean): void {
    const value = this.#take(key)
    if (value !== null && value !== wanted) throw this.#wrong(key, `${wanted} (nothing else is supported)`)
  }

  ignore(key: string): void {
    this.#read.add(key)
  }

  /** Keys under the prefix that were not asked for, by their whole names. */
  unread(): Record<string, unknown> {
    const keys = [...this.#metadata.keys()].filter(
      (key) => key.startsWith(this.#prefix) && !this.#read.has(key.slice(this.#prefix.length)),
    )
    return Object.fromEntries(keys.map((key) => [key, this.#metadata.get(key)]))
  }

  #take(key: string): unknown {
    this.#read.add(key)
    return this.#metadata.get(this.#prefix + key) ?? null
  }

  #orFail<T>(key: string, value: T | null): T {
    if (value === null) throw new ConfigError(`${this.path} has no metadata key ${this.#prefix}${key}`)
    return value
  }

  #wrong(key: string, wanted: string): ConfigError {
    const value = this.#metadata.get(this.#prefix + key)
    const shown = Array.isArray(value) ? `a list of ${value.length}` : String(value).slice(0, 80)
    return new ConfigError(`${this.path}: ${this.#prefix}${key} is ${shown}; it must be ${wanted}`)
  }
}

/** The shortest decimal that is the same float32: what the number was before it was stored (0.1, not 0.10000000149). */
function shortestFloat(value: number): number {
  if (Math.fround(value) !== value) return value
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits))
    if (Math.fround(shorter) === value) return shorter
  }
  return value
}
