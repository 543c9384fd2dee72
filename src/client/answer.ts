/** Writes an answer as it comes, and tells afterwards how it went. */
import type { AnswerEnd, Piece } from "./api-client.ts"

export interface Output {
  /** Somebody watches, and colours mean something. */
  readonly isTerminal: boolean
  readonly write: (text: string) => void
  /** Words about the answer, which are not part of it. */
  readonly say: (text: string) => void
  /** Seconds, never going back. */
  readonly now: () => number
}

const DIM = "\x1b[2m"
const PLAIN = "\x1b[0m"

/** Resolves with the answer's text, reasoning left out. Errors: `ApiError`. */
export async function writeAnswer(
  pieces: AsyncGenerator<Piece, AnswerEnd, void>, output: Output, options: { stats: boolean },
): Promise<string> {
  const start = output.now()
  let firstTime: number | null = null
  let text = ""
  let kind: Piece["kind"] = "text"
  const turn = (to: Piece["kind"]): void => {
    if (output.isTerminal && to !== kind) output.write(to === "reasoning" ? DIM : `${PLAIN}\n\n`)
    kind = to
  }
  let end: AnswerEnd | null = null
  try {
    while (end === null) {
      const { value, done } = await pieces.next()
      if (done === true) {
        end = value
        continue
      }
      firstTime ??= output.now()
      turn(value.kind)
      if (value.kind === "text") text += value.text
      if (output.isTerminal) output.write(printable(value.text))
      else if (value.kind === "text") output.write(value.text)
    }
  } finally {
    turn("text")
    if (!text.endsWith("\n")) output.write("\n")
  }
  if (options.stats) output.say(describe(end, start, firstTime, output.now()))
  return text
}

/** A model must not drive the terminal: what is no text is left out, tabs and line breaks aside. */
function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "")
}

function describe(end: AnswerEnd, start: number, firstTime: number | null, now: number): string {
  const { promptTokens, outputTokens, finishReason } = end
  const seconds = now - start
  const first = (firstTime ?? now) - start
  const hasRate = outputTokens !== null && outputTokens > 1 && seconds > first
  const rate = hasRate ? (outputTokens - 1) / (seconds - first) : null
  return [
    ...(promptTokens === null ? [] : [`${promptTokens} prompt tokens`]),
    ...(outputTokens === null ? [] : [`${outputTokens} tokens`]),
    `first after ${first.toFixed(2)} s`,
    `${seconds.toFixed(2)} s`,
    ...(rate === null ? [] : [`${rate.toFixed(1)} tokens/s`]),
    finishReason ?? "stopped",
  ].join(", ")
}
