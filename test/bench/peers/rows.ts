/** The lines of the comparison. */

/** One request alone in an engine's own process. */
export interface Stream {
  readonly inputLen: number
  /** After the first token, which the prompt's computation gives. */
  readonly numDecoded: number
}

/** Rows of the same lengths are figures of the same run. */
const STREAMS = {
  prefill: { inputLen: 512, numDecoded: 0 },
  decode: { inputLen: 8, numDecoded: 128 },
  "prefill-16k": { inputLen: 16_384, numDecoded: 32 },
  "decode-16k": { inputLen: 16_384, numDecoded: 32 },
  "prefill-32k": { inputLen: 32_768, numDecoded: 32 },
  "decode-32k": { inputLen: 32_768, numDecoded: 32 },
} as const satisfies Record<string, Stream>

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

export type StreamRow = keyof typeof STREAMS
export type LoadRow = keyof typeof LOADS
export type Row = StreamRow | "start" | "ttft" | LoadRow | "itl"

export const ENGINE_ROWS: readonly StreamRow[] = ["prefill", "decode"]
/** Minutes each: only where they are asked for. */
export const LONG_ROWS: readonly StreamRow[] = ["prefill-16k", "decode-16k", "prefill-32k", "decode-32k"]
export const STREAM_ROWS: readonly StreamRow[] = [...ENGINE_ROWS, ...LONG_ROWS]
export const SERVED_ROWS: readonly Row[] = ["start", "ttft", ...(Object.keys(LOADS) as LoadRow[]), "itl"]
export const ROWS: readonly Row[] = [...STREAM_ROWS, ...SERVED_ROWS]

export const LONG_PROMPT = 1500

export function streamOf(row: Row): Stream | null {
  return row in STREAMS ? STREAMS[row as StreamRow] : null
}

/** Of the rows of one stream alone: whether it tells how fast the prompt is computed, or the tokens after it. */
export function isPrefill(row: Row): boolean {
  return row.startsWith("prefill")
}

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
    case "prefill-16k": return "prefill 16,384, tok/s"
    case "prefill-32k": return "prefill 32,768, tok/s"
    case "decode": return "decode, tok/s"
    case "decode-16k": return "decode after 16,384, tok/s"
    case "decode-32k": return "decode after 32,768, tok/s"
    case "start": return "start to ready, ms"
    case "ttft": return "TTFT idle, 256 in, ms"
    default: return "ITL p99 of 16 while 1,500 arrive, ms"
  }
}

const GROUPS: Readonly<Record<string, readonly Row[]>> = { engine: ENGINE_ROWS, long: LONG_ROWS, served: SERVED_ROWS }

/** Words of the command line: rows, or "engine", "long" and "served" for all of a kind. Errors: an unknown word. */
export function parseRows(words: string): Row[] {
  return words.split(",").flatMap((word): readonly Row[] => {
    const known = GROUPS[word] ?? ROWS.filter((row) => row === word)
    if (known.length > 0) return known
    throw new Error(`unknown row ${word}; there are ${[...Object.keys(GROUPS), ...ROWS].join(", ")}`)
  })
}
