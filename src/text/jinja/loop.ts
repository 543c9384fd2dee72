/** The variable `loop` of a for loop. It looks no further ahead than the template asks it to. */
import { bind } from "./arguments.ts"
import { TemplateFault, typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { equals, lengthOrNull } from "./operators.ts"
import { Callable, Tuple, Undefined, type Arguments, type Value } from "./values.ts"

export class Loop extends Callable {
  override readonly typeName = "LoopContext"
  readonly #limits: Limits
  readonly #depth: number
  #iterator: Iterator<Value>
  #length: number | null
  #index0 = -1
  /** What was read ahead: null before it is, an empty list behind the end. */
  #ahead: readonly Value[] | null = null
  #previous: Value | undefined
  #current: Value | undefined
  #lastChecked: Tuple | null = null

  /**
   * `source` is what `iterator` goes over, where that has a length. `recurse` renders the loop's body for other items,
   * one level deeper, and is null where the loop is not recursive.
   */
  constructor(
    iterator: Iterator<Value>, source: Value, depth: number, recurse: ((items: Value, depth: number) => Value) | null,
    limits: Limits,
  ) {
    super("loop", (args) => {
      if (recurse === null) throw typeError("The loop must have the 'recursive' marker to be called recursively.")
      return recurse(bind("loop", args, ["iterable"], 1)[0]!, depth + 1)
    })
    this.#iterator = iterator
    this.#length = lengthOrNull(source, limits)
    this.#depth = depth
    this.#limits = limits
  }

  /** Goes to the next item; undefined behind the last. */
  next(): Value | undefined {
    const [value] = this.#peek()
    this.#ahead = null
    if (value === undefined) return undefined
    this.#index0++
    this.#previous = this.#current
    this.#current = value
    return value
  }

  #peek(): readonly Value[] {
    if (this.#ahead !== null) return this.#ahead
    const next = this.#iterator.next()
    return (this.#ahead = next.done === true ? [] : [next.value])
  }

  #count(): number {
    if (this.#length !== null) return this.#length
    const ahead = [...this.#peek()]
    for (let next = this.#iterator.next(); next.done !== true; next = this.#iterator.next()) {
      ahead.push(next.value)
      this.#limits.entryAdded(ahead.length)
    }
    this.#length = this.#index0 + 1 + ahead.length
    this.#ahead = ahead.slice(0, 1)
    this.#iterator = ahead.slice(1).values()
    return this.#length
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index": return BigInt(this.#index0 + 1)
      case "index0": return BigInt(this.#index0)
      case "revindex": return BigInt(this.#count() - this.#index0)
      case "revindex0": return BigInt(this.#count() - this.#index0 - 1)
      case "length": return BigInt(this.#count())
      case "first": return this.#index0 === 0
      case "last": return this.#peek().length === 0
      case "depth": return BigInt(this.#depth + 1)
      case "depth0": return BigInt(this.#depth)
      case "previtem": return this.#previous === undefined ? new Undefined("there is no previous item") : this.#previous
      case "nextitem": return this.#peek().length === 0 ? new Undefined("there is no next item") : this.#peek()[0]!
      case "cycle": return new Callable("cycle", (args) => this.#cycle(args))
      case "changed": return new Callable("changed", (args) => this.#changed(args))
      default: return undefined
    }
  }

  #cycle({ positional }: Arguments): Value {
    if (positional.length === 0) throw new TemplateFault("TypeError", "no items for cycling given")
    return positional[this.#index0 % positional.length]!
  }

  #changed({ positional }: Arguments): boolean {
    const checked = new Tuple(positional)
    if (this.#lastChecked !== null && equals(this.#lastChecked, checked, this.#limits)) return false
    this.#lastChecked = checked
    return true
  }
}
