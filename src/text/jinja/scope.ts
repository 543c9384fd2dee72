/** Variables of one part of a template, and of those it is in. */
import { Undefined, type Value } from "./values.ts"

export class Scope {
  readonly #parent: Scope | null
  readonly #values: Map<string, Value>

  constructor(parent: Scope | null, values = new Map<string, Value>()) {
    this.#parent = parent
    this.#values = values
  }

  get(name: string): Value {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#parent) {
      const value = scope.#values.get(name)
      if (value !== undefined) return value
    }
    return new Undefined(`'${name}' is undefined`)
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value)
  }
}
