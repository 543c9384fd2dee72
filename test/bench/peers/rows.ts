/** The lines of the comparison. */

export interface Load {
  readonly inputLen: number
  readonly outputLen: number
  /** Requests on their way at once, and all of them. */
  readonly streams: number
  readonly numPrompts: number
}

/** Tokens of a long answer, unless the command line says otherwise. */
export const LONG_ANSWER = 256

/** Closed loops of requests, told by their output tokens a second. */
const LOADS = {
  "256x1": { inputLen: 256, outputLen: 64, streams: 1, numPrompts: 2 },
  "256x4": { inputLen: 256, outputLen: 64, streams: 4, numPrompts: 8 },
  "256x16": { inputLen: 256, outputLen: 64, streams: 16, numPrompts: 16 },
  "16x16": { inputLen: 16, outputLen: LONG_ANSWER, streams: 16, numPrompts: 16 },
  "16x64": { inputLen: 16, outputLen: LONG_ANSWER, streams: 64, numPrompts: 64 },
} as const satisfies Record<string, Load>

export type LoadRow = keyof typeof LOADS
export type Row = "prefill" | "decode" | "start" | "ttft" | LoadRow | "itl"

export const ENGINE_ROWS: readonly Row[] = ["prefill", "decode"]
export const SERVED_ROWS: readonly Row[] = ["start", "ttft", ...(Object.keys(LOADS) as LoadRow[]), "itl"]
export const ROWS: readonly Row[] = [...ENGINE_ROWS, ...SERVED_ROWS]

export const LONG_PROMPT = 1500

/** `longAnswer`: tokens of one, fewer on machines on which whole ones take too long. */
export function loadOf(row: Row, longAnswer: number): Load | null {
  if (!(row in LOADS)) return null
  const load = LOADS[row as LoadRow]
  return { ...load, outputLen: load.outputLen === LONG_ANSWER ? longAnswer : load.outputLen }
}

/** Of times less is better, of rates more: the name ends with the unit. */
export function nameOf(row: Row, longAnswer: number): string {
  const load = loadOf(row, longAnswer)
  if (load !== null) {
    const { inputLen, outputLen, streams } = load
    return `${inputLen} in, ${outputLen} out, ${streams} stream${streams > 1 ? "s" : ""}, tok/s`
  }
  switch (row) {
    case "prefill": return "prefill 512, tok/s"
    case "decode": return "decode, tok/s"
    case "start": return "start to ready, ms"
    case "ttft": return "TTFT idle, 256 in, ms"
    default: return "ITL p99 of 16 while 1,500 arrive, ms"
  }
}

/** Words of the command line: rows, or "engine" and "served" for all of a kind. Errors: an unknown word. */
export function parseRows(words: string): Row[] {
  return words.split(",").flatMap((word): readonly Row[] => {
    if (word === "engine") return ENGINE_ROWS
    if (word === "served") return SERVED_ROWS
    const known = `engine, served, ${ROWS.join(", ")}`
    if (!ROWS.includes(word as Row)) throw new Error(`unknown row ${word}; there are ${known}`)
    return [word as Row]
  })
}
