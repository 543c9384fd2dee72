/** Keeps a stream's token counts: each prompt once, each choice by its latest output. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import type { FinishedRequest } from "../../engine/finished-request.ts"
import type { TokenCounts } from "./usage.ts"

export class StreamCounts {
  private readonly promptLengths: readonly number[]
  /** Generated tokens, `[promptIdx]` to choice index to count. */
  private readonly generated: Map<number, number>[]
  private readonly cached: number[]
  /** Of the choices that have ended. */
  readonly figures: FinishedRequest[] = []

  constructor(promptLengths: readonly number[]) {
    this.promptLengths = promptLengths
    this.generated = promptLengths.map(() => new Map())
    this.cached = promptLengths.map(() => 0)
  }

  /** Answers whether this is the choice's first output. */
  add(promptIdx: number, output: ChoiceOutput): boolean {
    const choices = this.generated[promptIdx]!
    const isFirst = !choices.has(output.index)
    choices.set(output.index, output.numOutputTokens)
    // The first choice's, as in a whole answer: the others find in the cache what it has computed.
    if (output.index === 0) this.cached[promptIdx] = output.numCachedTokens
    if (output.figures !== null) this.figures.push(output.figures)
    return isFirst
  }

  ofChoice(promptIdx: number, output: ChoiceOutput): TokenCounts {
    return {
      promptTokens: this.promptLengths[promptIdx] ?? 0,
      completionTokens: output.numOutputTokens,
      cachedTokens: output.numCachedTokens,
    }
  }

  total(): TokenCounts {
    let completionTokens = 0
    for (const choices of this.generated) for (const count of choices.values()) completionTokens += count
    return { promptTokens: sum(this.promptLengths), completionTokens, cachedTokens: sum(this.cached) }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
