/**
 * Deterministic automata over code points, made as they are walked: languages of strings, closed under "and", "or" and
 * "not", so that a string may be held to several patterns, lengths and lists at once.
 */

export const MAX_CODE_POINT = 0x10ffff
/** No string holds one alone. */
export const FIRST_SURROGATE = 0xd800
export const LAST_SURROGATE = 0xdfff

/** No continuation of the text is in the language. */
export const DEAD = -1

export interface Automaton {
  readonly start: number
  /** The state after one more character; may be `DEAD`. */
  next(state: number, codePoint: number): number
  accepts(state: number): boolean
  /** Code points at which a class of characters begins: between two of them all characters are alike. */
  readonly cuts: ReadonlySet<number>
  /** Where the language is all strings of so many characters: grammars have a shorter way to say that. */
  readonly lengths?: { readonly min: number; readonly max: number }
  /** Whether a number's fraction decides: it must then survive being read as a double. */
  readonly tellsWholeNumbers?: boolean
  /** Why there is no grammar of the language: thrown where one is wanted. */
  readonly refusal?: Error
}

/** Numbers for values that are equal when their keys are. */
export class Interner<T> {
  readonly #ids = new Map<string, number>()
  readonly values: T[] = []

  id(key: string, value: T): number {
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    this.#ids.set(key, this.values.length)
    return this.values.push(value) - 1
  }
}

const NO_CUTS: ReadonlySet<number> = new Set()

/** Every string. */
export const ANY_TEXT: Automaton = { start: 0, next: () => 0, accepts: () => true, cuts: NO_CUTS }

/** `isDead` says of which states no continuation can be accepted; it may miss some. */
function product(
  parts: readonly Automaton[], isAccepted: (accepted: readonly boolean[]) => boolean,
  isDead: (state: readonly number[]) => boolean,
): Automaton {
  const states = new Interner<readonly number[]>()
  const idOf = (state: readonly number[]) => (isDead(state) ? DEAD : states.id(state.join(), state))
  return {
    start: states.id("start", parts.map(({ start }) => start)),
    next: (id, codePoint) => {
      const state = states.values[id]!
      return idOf(parts.map((part, i) => (state[i]! === DEAD ? DEAD : part.next(state[i]!, codePoint))))
    },
    accepts: (id) => {
      const state = states.values[id]!
      return isAccepted(parts.map((part, i) => state[i]! !== DEAD && part.accepts(state[i]!)))
    },
    cuts: new Set(parts.flatMap(({ cuts }) => [...cuts])),
    tellsWholeNumbers: parts.some(({ tellsWholeNumbers }) => tellsWholeNumbers === true),
    ...parts.map(({ refusal }) => (refusal === undefined ? {} : { refusal })).find((each) => "refusal" in each),
  }
}

export function and(...parts: readonly Automaton[]): Automaton {
  const narrowing = parts.filter((part) => part !== ANY_TEXT)
  if (narrowing.length <= 1) return narrowing[0] ?? ANY_TEXT
  const lengths = narrowing.flatMap((part) => part.lengths ?? [])
  if (lengths.length === narrowing.length) {
    return lengthBetween(Math.max(...lengths.map(({ min }) => min)), Math.min(...lengths.map(({ max }) => max)))
  }
  return product(narrowing, (accepted) => accepted.every(Boolean), (state) => state.includes(DEAD))
}

export function or(...parts: readonly Automaton[]): Automaton {
  if (parts.length === 1) return parts[0]!
  return product(parts, (accepted) => accepted.some(Boolean), (state) => state.every((part) => part === DEAD))
}

export function not(part: Automaton): Automaton {
  return product([part], ([accepted]) => !accepted, () => false)
}

/** Exactly these strings. */
export function literals(texts: readonly string[]): Automaton {
  interface Node { readonly children: Map<number, number>; isEnd: boolean }
  const nodes: Node[] = [{ children: new Map(), isEnd: false }]
  const cuts = new Set<number>()
  for (const text of texts) {
    let at = 0
    for (const char of text) {
      const code = char.codePointAt(0)!
      cuts.add(code).add(code + 1)
      let next = nodes[at]!.children.get(code)
      if (next === undefined) {
        next = nodes.push({ children: new Map(), isEnd: false }) - 1
        nodes[at]!.children.set(code, next)
      }
      at = next
    }
    nodes[at]!.isEnd = true
  }
  return {
    start: 0,
    next: (state, codePoint) => nodes[state]!.children.get(codePoint) ?? DEAD,
    accepts: (state) => nodes[state]!.isEnd,
    cuts,
  }
}

/** Strings of `min` to `max` characters. */
export function lengthBetween(min: number, max: number): Automaton {
  const last = Number.isFinite(max) ? max : min
  return {
    start: 0,
    next: (state) => (state < last ? state + 1 : Number.isFinite(max) ? DEAD : last),
    accepts: (state) => state >= min,
    cuts: NO_CUTS,
    lengths: { min, max },
  }
}

/** Whether the language holds `text`. */
export function holds(automaton: Automaton, text: string): boolean {
  let state = automaton.start
  for (const char of text) {
    state = automaton.next(state, char.codePointAt(0)!)
    if (state === DEAD) return false
  }
  return automaton.accepts(state)
}
