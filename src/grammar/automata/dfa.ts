/** An automaton walked to its end: every state written down, those that lead nowhere left out, equal ones merged. */
import { DEAD, FIRST_SURROGATE, LAST_SURROGATE, MAX_CODE_POINT, type Automaton } from "./automaton.ts"

/** Code points `first` to `last`, both included. */
export interface Range {
  readonly first: number
  readonly last: number
}

export interface Edge extends Range {
  readonly to: number
}

export interface DfaState {
  /** In order, without overlap; neighbours that lead to the same state are one edge. */
  readonly edges: readonly Edge[]
  readonly isAccepting: boolean
}

/** The start is state 0; every state leads to an accepting one. */
export type Dfa = readonly DfaState[]

export class TooManyStates extends Error {
  override readonly name = "TooManyStates"
}

/** Null: the language is empty. Errors: `TooManyStates` beyond `maxStates`, and the automaton's refusal. */
export function explore(automaton: Automaton, maxStates: number): Dfa | null {
  if (automaton.refusal !== undefined) throw automaton.refusal
  const classes = classesOf(automaton.cuts)
  const ids = new Map<number, number>([[automaton.start, 0]])
  const order = [automaton.start]
  const states: DfaState[] = []
  for (let i = 0; i < order.length; i++) {
    const edges: Edge[] = []
    for (const { first, last } of classes) {
      const next = automaton.next(order[i]!, first)
      if (next === DEAD) continue
      let to = ids.get(next)
      if (to === undefined) {
        to = order.push(next) - 1
        ids.set(next, to)
        if (order.length > maxStates) throw new TooManyStates(`more than ${maxStates} states`)
      }
      edges.push({ first, last, to })
    }
    states.push({ edges: joinNeighbours(edges), isAccepting: automaton.accepts(order[i]!) })
  }
  const live = trim(states)
  return live === null ? null : minimize(live)
}

function classesOf(cuts: ReadonlySet<number>): Range[] {
  const starts = [...new Set([0, FIRST_SURROGATE, LAST_SURROGATE + 1, ...cuts])].sort((a, b) => a - b)
    .filter((start) => start <= MAX_CODE_POINT)
  return starts.map((first, i) => ({ first, last: (starts[i + 1] ?? MAX_CODE_POINT + 1) - 1 }))
    .filter(({ first }) => first < FIRST_SURROGATE || first > LAST_SURROGATE)
}

/** Ranges on both sides of the surrogates count as neighbours. */
function joinNeighbours(edges: readonly Edge[]): Edge[] {
  const joined: Edge[] = []
  for (const edge of edges) {
    const before = joined.at(-1)
    const isNext = before !== undefined && before.to === edge.to &&
      (before.last + 1 === edge.first || (before.last === FIRST_SURROGATE - 1 && edge.first === LAST_SURROGATE + 1))
    if (isNext) joined[joined.length - 1] = { ...before, last: edge.last }
    else joined.push(edge)
  }
  return joined
}

/** Without the states that lead to no accepting one; null if the start is one of them. */
function trim(states: readonly DfaState[]): DfaState[] | null {
  const sources: number[][] = states.map(() => [])
  states.forEach(({ edges }, from) => edges.forEach(({ to }) => sources[to]!.push(from)))
  const live = new Set<number>()
  const queue = states.flatMap(({ isAccepting }, i) => (isAccepting ? [i] : []))
  for (const state of queue) {
    if (live.has(state)) continue
    live.add(state)
    queue.push(...sources[state]!)
  }
  if (!live.has(0)) return null
  return renumber(states, (state) => state, (state) => live.has(state))
}

/** Keeps the states that `isKept`, each with its edges redirected to the state that stands for their target. */
function renumber(
  states: readonly DfaState[], standsFor: (state: number) => number, isKept: (state: number) => boolean,
): DfaState[] {
  const ids = new Map<number, number>()
  for (let i = 0; i < states.length; i++) if (isKept(i)) ids.set(i, ids.size)
  return [...ids.keys()].map((i) => {
    const edges = states[i]!.edges.filter(({ to }) => ids.has(standsFor(to)))
      .map((edge) => ({ ...edge, to: ids.get(standsFor(edge.to))! }))
    return { edges: joinNeighbours(edges), isAccepting: states[i]!.isAccepting }
  })
}

/** Moore's algorithm: states are split until those of a block lead to the same blocks. */
function minimize(states: readonly DfaState[]): DfaState[] {
  let blocks: number[] = states.map(() => 0)
  for (let count = 1; ; ) {
    const ids = new Map<string, number>()
    const next = states.map(({ edges, isAccepting }, i) => {
      const targets = joinNeighbours(edges.map((edge) => ({ ...edge, to: blocks[edge.to]! })))
      const key = `${blocks[i]} ${isAccepting} ${targets.map(({ first, last, to }) => `${first}-${last}:${to}`)}`
      if (!ids.has(key)) ids.set(key, ids.size)
      return ids.get(key)!
    })
    blocks = next
    if (ids.size === count) break
    count = ids.size
  }
  const representative = new Map<number, number>()
  blocks.forEach((block, i) => representative.has(block) || representative.set(block, i))
  return renumber(states, (i) => representative.get(blocks[i]!)!, (i) => representative.get(blocks[i]!) === i)
}
