/** Variables of one part of a template, and of those it is in. */
import { Undefined, type Value } from "./values.ts"

interface Variable {
  readonly name: string
  value: Value
  readonly next: Variable | null
}

export class Scope {
  readonly #parent: Scope | null
  readonly #map: Map<string, Value> | null
  /** Where there is no map: every turn of a loop has a scope, with few variables. */
  #list: Variable | null = null

  /** With a map, for many variables, or without one. */
  constructor(parent: Scope | null, map: Map<string, Value> | null = null) {
    this.#parent = parent
    this.#map = map
  }

  get(name: string): Value {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#parent) {
      const value = scope.#map === null ? scope.#find(name)?.value : scope.#map.get(name)
      if (value !== undefined) return value
    }
    return new Undefined(`'${name}' is undefined`)
  }

  set(name: string, value: Value): void {
    if (this.#map !== null) {
      this.#map.set(name, value)
      return
    }
    const variable = this.#find(name)
    if (variable !== null) variable.value = value
    else this.#list = { name, value, next: this.#list }
  }

  #find(name: string): Variable | null {
    let variable = this.#list
    while (variable !== null && variable.name !== name) variable = variable.next
    return variable
  }
}
