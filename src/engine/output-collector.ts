/**
 * Holds what a request's reader has not taken yet: at most one output a choice, however slow the reader is.
 *
 * In `delta` kind a newer output of a choice is merged into the waiting one: texts, ids and log-probabilities are
 * joined, everything else is the newer one's. In `final` kind there is one output a choice, and all of them wait for
 * the last, so that they come in index order.
 *
 * Prompt log-probabilities come with one choice and are part of every choice's first output: earlier outputs wait for
 * them.
 */
import { assert } from "../base/assert.ts"
import type { ChoiceOutput, GenerateRequest, PositionLogprobs } from "./engine-client.ts"

/** An output whose arrays nobody else holds, so that a newer one can be joined to it. */
export interface MutableChoiceOutput extends ChoiceOutput {
  text: string
  readonly tokenIds: number[]
  readonly logprobs: PositionLogprobs[] | null
  promptLogprobs: ChoiceOutput["promptLogprobs"]
  finishReason: ChoiceOutput["finishReason"]
  stopReason: ChoiceOutput["stopReason"]
  numOutputTokens: number
  numCachedTokens: number
  figures: ChoiceOutput["figures"]
}

export class OutputCollector {
  readonly #kind: GenerateRequest["outputKind"]
  readonly #numChoices: number
  readonly #hasPromptLogprobs: boolean
  /** By order of arrival; in `final` kind by index once complete. */
  #waiting: MutableChoiceOutput[] = []
  #numFinished = 0
  #promptLogprobs: ChoiceOutput["promptLogprobs"] = null
  /** Choices whose first output has been taken. */
  readonly #begun = new Set<number>()

  constructor(options: { kind: GenerateRequest["outputKind"]; numChoices: number; hasPromptLogprobs?: boolean }) {
    this.#kind = options.kind
    this.#numChoices = options.numChoices
    this.#hasPromptLogprobs = options.hasPromptLogprobs ?? false
  }

  /** Every choice's last output has been put. */
  get isFinished(): boolean {
    return this.#numFinished === this.#numChoices
  }

  put(output: MutableChoiceOutput): void {
    assert(!this.isFinished, () => `choice ${output.index} has an output after the last`)
    if (output.finishReason !== null) this.#numFinished += 1
    this.#promptLogprobs ??= output.promptLogprobs
    const waiting = this.#waiting.find(({ index }) => index === output.index)
    if (waiting === undefined) this.#waiting.push(output)
    else merge(waiting, output)
    if (this.#kind === "final" && this.isFinished) this.#waiting.sort((a, b) => a.index - b.index)
  }

  /** The next output to hand out, or null when there is none yet (or none any more). */
  take(): ChoiceOutput | null {
    const awaitsPrompt = this.#hasPromptLogprobs && this.#promptLogprobs === null
    if ((this.#kind === "final" || awaitsPrompt) && !this.isFinished) return null
    const output = this.#waiting.shift()
    if (output === undefined) return null
    output.promptLogprobs = this.#begun.has(output.index) ? null : this.#promptLogprobs
    this.#begun.add(output.index)
    return output
  }

  clear(): void {
    this.#waiting = []
  }
}

function merge(into: MutableChoiceOutput, newer: MutableChoiceOutput): void {
  assert(into.finishReason === null, () => `choice ${newer.index} has an output after its end`)
  into.text += newer.text
  for (const id of newer.tokenIds) into.tokenIds.push(id)
  if (newer.logprobs !== null) {
    assert(into.logprobs !== null, () => `choice ${newer.index} has log-probabilities for some tokens only`)
    for (const logprobs of newer.logprobs) into.logprobs.push(logprobs)
  }
  into.finishReason = newer.finishReason
  into.stopReason = newer.stopReason
  into.numOutputTokens = newer.numOutputTokens
  into.numCachedTokens = newer.numCachedTokens
  into.figures = newer.figures
}
