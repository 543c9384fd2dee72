import type { AnswerPlan } from "./answer.ts"
import type { PromptRun } from "../plan/generation.ts"
import type { ReportOptions } from "../plan/request-options.ts"

/** A chat request, checked and planned: what the builders of its answer need to know. */
export interface ChatJob {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly fingerprint: string
  readonly run: PromptRun
  /** How its answers are parsed; null where they are content as they are. */
  readonly answer: AnswerPlan | null
  readonly report: ReportOptions
  readonly numTopLogprobs: number
  /** Of the generated messages. */
  readonly role: string
  /** Text before each generated message; "" without `echo`. */
  readonly echo: string
  readonly returnPromptText: boolean
}
