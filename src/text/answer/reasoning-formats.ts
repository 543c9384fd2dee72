/** How models mark their reasoning: a row a parser, under the names of `--reasoning-parser`. */
export interface ReasoningFormat {
  /** The first is how the model is told to begin and end. */
  readonly starts: readonly string[]
  readonly ends: readonly string[]
  /** Whether an answer begins with reasoning where its prompt does not say, by the variables of the chat template. */
  beginsWithReasoning(variables: Readonly<Record<string, unknown>>): boolean
  /** A start mark within the content opens reasoning. */
  readonly opensInContent: boolean
  /** An end mark within the content means nothing. */
  readonly dropsStrayEnds: boolean
  /** A tool call ends the reasoning; else what looks like one there is a thought. */
  readonly endsAtCall: boolean
}

const THINK = { starts: ["<think>"], ends: ["</think>"] }
const PLAIN = { opensInContent: false, dropsStrayEnds: false, endsAtCall: false }

const FORMATS = {
  deepseek_r1: { ...THINK, ...PLAIN, beginsWithReasoning: () => true },
  deepseek_v3: {
    ...THINK, ...PLAIN,
    beginsWithReasoning: (variables) => variables["thinking"] === true || variables["enable_thinking"] === true,
  },
  glm45: {
    ...THINK, opensInContent: false, dropsStrayEnds: true, endsAtCall: true,
    beginsWithReasoning: (variables) => variables["thinking"] !== false && variables["enable_thinking"] !== false,
  },
  granite: {
    ...PLAIN,
    starts: ["Here is my thought process:", "Here's my thought process:"],
    ends: ["Here is my response:", "Here's my response:"],
    beginsWithReasoning: () => false, opensInContent: true,
  },
  kimi_k2: {
    ...THINK, ...PLAIN, endsAtCall: true, beginsWithReasoning: (variables) => variables["thinking"] !== false,
  },
  minimax_m2: { ...THINK, ...PLAIN, beginsWithReasoning: () => true },
  mistral: {
    starts: ["[THINK]"], ends: ["[/THINK]"],
    beginsWithReasoning: () => false, opensInContent: true, dropsStrayEnds: true, endsAtCall: true,
  },
  qwen3: {
    ...THINK, opensInContent: false, dropsStrayEnds: true, endsAtCall: true,
    beginsWithReasoning: (variables) => variables["enable_thinking"] !== false,
  },
} satisfies Record<string, ReasoningFormat>

export type ReasoningParserName = keyof typeof FORMATS
export const REASONING_FORMATS: Readonly<Record<ReasoningParserName, ReasoningFormat>> = FORMATS
export const REASONING_PARSERS = Object.keys(FORMATS) as ReasoningParserName[]

/**
 * Whether an answer to this prompt begins with reasoning: where the prompt's last turn opens or closes it, that counts.
 * `lastTurn`: the end of the prompt, the answer's own beginning included.
 */
export function beginsWithReasoning(
  format: ReasoningFormat, lastTurn: string, variables: Readonly<Record<string, unknown>>,
): boolean {
  const start = lastOf(format.starts, lastTurn)
  const end = lastOf(format.ends, lastTurn)
  return start === end ? format.beginsWithReasoning(variables) : start > end
}

function lastOf(marks: readonly string[], text: string): number {
  return Math.max(...marks.map((mark) => text.lastIndexOf(mark)))
}
