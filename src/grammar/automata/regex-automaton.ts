/** A regular expression as an automaton: its states are sets of places in the expression. */
import { ANY_TEXT, DEAD, Interner, type Automaton } from "./automaton.ts"
import type { CharSet } from "./char-set.ts"
import { ANYTHING, parseRegex, RegexError, type Regex } from "./regex-syntax.ts"

/** Repetitions are written out. */
const MAX_PLACES = 20_000

interface Place {
  /** Where the text may be without having gone on. */
  readonly free: number[]
  /** The same, at the start of the text alone; and at its end. */
  readonly atStart: number[]
  readonly atEnd: number[]
  /** Where one character of `set` leads. */
  set: CharSet | null
  to: number
}

/** The strings in which `source` finds a match somewhere, as `RegExp.test` has it. Errors: `RegexError`. */
export function searching(source: string): Automaton {
  const regex = parseRegex(source)
  return automatonOf({ kind: "sequence", parts: [ANYTHING, regex, ANYTHING] })
}

/** The strings that `source` matches whole. Errors: `RegexError`. */
export function matching(source: string): Automaton {
  return automatonOf(parseRegex(source))
}

class Places {
  readonly all: Place[] = []

  add(): number {
    if (this.all.length >= MAX_PLACES) throw new RegexError(`the expression has more than ${MAX_PLACES} places`)
    return this.all.push({ free: [], atStart: [], atEnd: [], set: null, to: DEAD }) - 1
  }

  /** Lays `regex` after the place `from`, and returns the place after it. */
  lay(regex: Regex, from: number): number {
    switch (regex.kind) {
      case "chars": {
        const to = this.add()
        const at = this.add()
        this.all[from]!.free.push(at)
        Object.assign(this.all[at]!, { set: regex.set, to })
        return to
      }
      case "start":
      case "end": {
        const to = this.add()
        this.all[from]![regex.kind === "start" ? "atStart" : "atEnd"].push(to)
        return to
      }
      case "sequence":
        return regex.parts.reduce((at, part) => this.lay(part, at), from)
      case "choice": {
        const to = this.add()
        for (const option of regex.options) {
          const at = this.add()
          this.all[from]!.free.push(at)
          this.all[this.lay(option, at)]!.free.push(to)
        }
        return to
      }
      case "repeat":
        return this.#layRepeat(regex, from)
    }
  }

  #layRepeat({ part, min, max }: Regex & { kind: "repeat" }, from: number): number {
    let at = from
    for (let i = 0; i < min; i++) at = this.lay(part, at)
    const end = this.add()
    this.all[at]!.free.push(end)
    if (max === Infinity) {
      const loop = this.add()
      this.all[at]!.free.push(loop)
      const after = this.lay(part, loop)
      this.all[after]!.free.push(loop, end)
      return end
    }
    for (let i = min; i < max; i++) {
      at = this.lay(part, at)
      this.all[at]!.free.push(end)
    }
    return end
  }
}

function automatonOf(regex: Regex): Automaton {
  if (regex === ANYTHING) return ANY_TEXT
  const places = new Places()
  const first = places.add()
  const last = places.lay(regex, first)
  const { all } = places
  const states = new Interner<readonly number[]>()

  const close = (from: Iterable<number>, ways: readonly ("free" | "atStart" | "atEnd")[]): Set<number> => {
    const reached = new Set(from)
    for (const place of reached) for (const way of ways) for (const to of all[place]![way]) reached.add(to)
    return reached
  }
  const idOf = (reached: Set<number>): number => {
    // Places that do nothing more than lead on are told by where they lead to.
    const matters = (place: number) => all[place]!.set !== null || all[place]!.atEnd.length > 0 || place === last
    const kept = [...reached].filter(matters)
    if (kept.length === 0) return DEAD
    kept.sort((a, b) => a - b)
    return states.id(kept.join(), kept)
  }
  const start = idOf(close([first], ["free", "atStart"]))
  // The empty text starts and ends at once.
  const acceptsNothing = close([first], ["free", "atStart", "atEnd"]).has(last)
  const cuts = new Set<number>()
  for (const { set } of all) for (const range of set ?? []) cuts.add(range.first).add(range.last + 1)
  const accepted = new Map<number, boolean>()
  return {
    start: start === DEAD ? states.id("nowhere", []) : start,
    next: (state, codePoint) => {
      const targets: number[] = []
      for (const place of states.values[state]!) {
        const { set, to } = all[place]!
        if (set !== null && set.some(({ first, last }) => codePoint >= first && codePoint <= last)) targets.push(to)
      }
      return idOf(close(targets, ["free"]))
    },
    accepts: (state) => {
      if (state === start && acceptsNothing) return true
      let known = accepted.get(state)
      if (known === undefined) {
        known = close(states.values[state]!, ["free", "atEnd"]).has(last)
        accepted.set(state, known)
      }
      return known
    },
    cuts,
  }
}
