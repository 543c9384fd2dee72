/** Counts the tokens of an answer's reasoning, its marks left out. */
import type { Tokenizer } from "../tokenizer.ts"
import type { AnswerFormat } from "./answer-format.ts"

type Mark = readonly number[]

/** The marks as the model writes them: made once, and shared by the counters of all answers. */
export interface ReasoningMarks {
  readonly starts: readonly Mark[]
  /** What is looked for within reasoning, and within content. */
  readonly inReasoning: readonly Mark[]
  readonly inContent: readonly Mark[]
  /** Tokens. */
  readonly longest: number
}

/** Null where the format has no reasoning. */
export function reasoningMarks({ reasoning, tools }: AnswerFormat, tokenizer: Tokenizer): ReasoningMarks | null {
  if (reasoning === null) return null
  const encoded = (marks: readonly string[]) => marks.map((mark) => tokenizer.encode(mark, { addSpecialTokens: false }))
  const openers = reasoning.endsAtCall ? (tools?.openers ?? []) : []
  const starts = encoded(reasoning.starts)
  const inReasoning = [...starts, ...encoded([...reasoning.ends, ...openers])]
  const longest = Math.max(...inReasoning.map(({ length }) => length))
  return { starts, inReasoning, inContent: reasoning.opensInContent ? starts : [], longest }
}

export class ReasoningTokenCounter {
  readonly #marks: ReasoningMarks
  #isReasoning: boolean
  /** The last tokens, as many as the longest mark has. */
  readonly #tail: number[] = []
  #count = 0

  constructor(marks: ReasoningMarks, beginsWithReasoning: boolean) {
    this.#marks = marks
    this.#isReasoning = beginsWithReasoning
  }

  get count(): number {
    return this.#count
  }

  push(tokenIds: readonly number[]): void {
    const { starts, inReasoning, inContent, longest } = this.#marks
    for (const id of tokenIds) {
      this.#tail.push(id)
      if (this.#tail.length > longest) this.#tail.shift()
      if (this.#isReasoning) this.#count += 1
      const marks = this.#isReasoning ? inReasoning : inContent
      const mark = marks.find((each) => this.#endsWith(each))
      if (mark === undefined) continue
      if (this.#isReasoning) this.#count -= mark.length
      this.#isReasoning = starts.includes(mark)
      this.#tail.length = 0
    }
  }

  #endsWith(mark: Mark): boolean {
    const offset = this.#tail.length - mark.length
    return offset >= 0 && mark.every((id, i) => this.#tail[offset + i] === id)
  }
}
