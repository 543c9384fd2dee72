/** `baozi chat` and `baozi complete`: one question, or a session of them. */
import { ApiError, type AnswerEnd, type ApiClient, type Piece } from "./api-client.ts"
import { writeAnswer, type Output } from "./answer.ts"
import { runCommand, type CommandContext } from "./commands.ts"
import { Conversation } from "./conversation.ts"
import type { LineReader } from "./line-reader.ts"
import type { Settings } from "./settings.ts"

export interface SessionOptions {
  readonly kind: "chat" | "complete"
  readonly client: ApiClient
  readonly model: string
  readonly systemPrompt: string | null
  readonly settings: Settings
  readonly stats: boolean
  readonly output: Output
}

type Lines = Pick<LineReader, "read" | "clearLine" | "redraw" | "close">

const PROMPT = ">>> "
const MORE = "... "
const FENCE = '"""'

export class Session implements CommandContext {
  readonly model: string
  readonly conversation: Conversation | null
  readonly say: (text: string) => void
  settings: Settings
  readonly #options: SessionOptions
  /** The answer that is being written. */
  #answering: AbortController | null = null

  constructor(options: SessionOptions) {
    this.#options = options
    this.model = options.model
    this.settings = options.settings
    this.conversation = options.kind === "chat" ? new Conversation(options.systemPrompt) : null
    this.say = options.output.say
  }

  /** Answers one question. Errors: `ApiError`; then it is as if it had not been asked. */
  async ask(text: string): Promise<void> {
    const { output, stats } = this.#options
    const abort = new AbortController()
    this.#answering = abort
    this.conversation?.ask(text)
    let answer = ""
    try {
      answer = await writeAnswer(this.#pieces(text, abort.signal), output, { stats })
    } finally {
      this.conversation?.answer(answer)
      this.#answering = null
    }
  }

  /** Stops the answer that is being written. False when there is none. */
  interrupt(): boolean {
    this.#answering?.abort()
    return this.#answering !== null
  }

  /** Reads questions and commands until the input ends. */
  async run(makeReader: (onInterrupt: () => void) => Lines): Promise<void> {
    let numIdleInterrupts = 0
    const reader = makeReader(() => {
      if (this.interrupt()) return
      if (reader.clearLine()) numIdleInterrupts = 0
      else if (++numIdleInterrupts > 1) return reader.close()
      else this.say("\n(Ctrl-D, /exit or a second Ctrl-C ends the session)")
      reader.redraw()
    })
    for (;;) {
      const text = await readText(reader)
      numIdleInterrupts = 0
      if (text === null) break
      if (text.trim() === "") continue
      const result = runCommand(text, this) ?? { kind: "ask", text: text.replace(/^\/\//, "/") }
      if (result.kind === "exit") break
      if (result.kind === "ask") await this.#askOrSay(result.text)
    }
    reader.close()
  }

  async #askOrSay(text: string): Promise<void> {
    try {
      await this.ask(text)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.say(`error: ${error.message}`)
    }
  }

  #pieces(text: string, signal: AbortSignal): AsyncGenerator<Piece, AnswerEnd, void> {
    const { client, model } = this.#options
    return this.conversation === null
      ? client.complete(model, text, this.settings, signal)
      : client.chat(model, this.conversation.messages, this.settings, signal)
  }
}

/** One line, or several between fences. Null at the end of the input. */
async function readText(reader: Lines): Promise<string | null> {
  const first = await reader.read(PROMPT)
  if (first === null || !first.startsWith(FENCE)) return first
  const lines = [first.slice(FENCE.length)]
  while (!lines.at(-1)!.endsWith(FENCE)) {
    const line = await reader.read(MORE)
    if (line === null) return null
    lines.push(line)
  }
  return lines.join("\n").slice(0, -FENCE.length).replace(/^\n|\n$/g, "")
}
