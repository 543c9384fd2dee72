/** What a model's answers are made of: which markers matter in which part of one, and what each of them does. */
import { MarkerSet } from "../marker-scanner.ts"
import type { ReasoningFormat } from "./reasoning-formats.ts"
import type { ToolFormat } from "./tool-format.ts"

/** content: before any call. after: content behind a call. */
export type Mode = "reasoning" | "content" | "after"

/** What a marker does: the text goes on in another mode, or in a call; or it is dropped; or it begins the content. */
export type MarkerAction = "reasoning" | "content" | "call" | "drop" | "text"

export interface ModeMarkers {
  readonly set: MarkerSet
  /** Parallel to the set's markers. */
  readonly actions: readonly MarkerAction[]
}

/** Made once, and shared by the parsers of all answers. */
export class AnswerFormat {
  readonly reasoning: ReasoningFormat | null
  readonly tools: ToolFormat | null
  readonly modes: Readonly<Record<Mode, ModeMarkers>>
  #withRawCalls: AnswerFormat | null = null

  /** `callsAreText`: calls end reasoning where they would, and are content as they are written. */
  constructor(reasoning: ReasoningFormat | null, tools: ToolFormat | null, { callsAreText = false } = {}) {
    this.reasoning = reasoning
    this.tools = callsAreText ? null : tools
    const content = contentActions(reasoning, this.tools)
    this.modes = {
      reasoning: modeMarkers(reasoningActions(reasoning, tools, callsAreText ? "text" : "call")),
      content: modeMarkers(content),
      after: modeMarkers([...content, ...actions(this.tools?.closers, "drop")]),
    }
    if (this.tools === null) this.#withRawCalls = this
  }

  /** The same format with its calls as text. */
  get withRawCalls(): AnswerFormat {
    this.#withRawCalls ??= new AnswerFormat(this.reasoning, this.tools, { callsAreText: true })
    return this.#withRawCalls
  }

  /** Everything that a parser looks for. */
  get markers(): readonly string[] {
    const inner = this.tools?.innerMarkers ?? []
    return [...new Set([...Object.values(this.modes).flatMap(({ set }) => set.markers), ...inner])]
  }
}

type MarkerActions = readonly (readonly [marker: string, action: MarkerAction])[]

function reasoningActions(
  reasoning: ReasoningFormat | null, tools: ToolFormat | null, atCall: "call" | "text",
): MarkerActions {
  if (reasoning === null) return []
  const openers = reasoning.endsAtCall ? actions(tools?.openers, atCall) : []
  return [...actions(reasoning.starts, "drop"), ...actions(reasoning.ends, "content"), ...openers]
}

function contentActions(reasoning: ReasoningFormat | null, tools: ToolFormat | null): MarkerActions {
  return [
    ...(reasoning?.opensInContent === true ? actions(reasoning.starts, "reasoning") : []),
    ...(reasoning?.dropsStrayEnds === true ? actions(reasoning.ends, "drop") : []),
    ...actions(tools?.openers, "call"),
  ]
}

function actions(markers: readonly string[] | undefined, action: MarkerAction): MarkerActions {
  return (markers ?? []).map((marker) => [marker, action] as const)
}

function modeMarkers(all: MarkerActions): ModeMarkers {
  return { set: new MarkerSet(all.map(([marker]) => marker)), actions: all.map(([, action]) => action) }
}
