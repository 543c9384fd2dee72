/** Lines that somebody types, with editing and history, and Ctrl-C as an event instead of an end. */
import { createInterface, type Interface } from "node:readline"

export interface LineReaderOptions {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  /** Lines of earlier sessions, newest first. */
  readonly history: readonly string[]
  readonly onInterrupt: () => void
}

const MAX_HISTORY = 1000

export class LineReader {
  readonly #lines: Interface
  /** Typed ahead, while an answer was written. */
  readonly #queue: string[] = []
  readonly #typed: string[] = []
  #waiter: ((line: string | null) => void) | null = null
  #isClosed = false

  constructor({ input, output, history, onInterrupt }: LineReaderOptions) {
    this.#lines = createInterface({
      input, output, terminal: true, history: [...history], historySize: MAX_HISTORY, removeHistoryDuplicates: true,
    })
    this.#lines.on("line", (line) => this.#give(line))
    this.#lines.on("SIGINT", onInterrupt)
    this.#lines.on("close", () => {
      this.#isClosed = true
      this.#waiter?.(null)
    })
  }

  /** Null at the end of the input. */
  read(prompt: string): Promise<string | null> {
    const ahead = this.#queue.shift()
    if (ahead !== undefined) return Promise.resolve(ahead)
    if (this.#isClosed) return Promise.resolve(null)
    this.#lines.setPrompt(prompt)
    this.#lines.prompt()
    return new Promise((resolve) => {
      this.#waiter = (line) => {
        this.#waiter = null
        resolve(line)
      }
    })
  }

  /** Drops what is typed so far. Answers whether there was anything. */
  clearLine(): boolean {
    const had = this.#lines.line !== ""
    this.#lines.write(null, { ctrl: true, name: "e" })
    this.#lines.write(null, { ctrl: true, name: "u" })
    return had
  }

  /** Shows the prompt again, after something was written over it. */
  redraw(): void {
    if (this.#waiter !== null) this.#lines.prompt(true)
  }

  /** Lines of this session, newest first. */
  get typed(): readonly string[] {
    return this.#typed
  }

  close(): void {
    this.#lines.close()
  }

  #give(line: string): void {
    if (line.trim() !== "") this.#typed.unshift(line)
    if (this.#waiter === null) this.#queue.push(line)
    else this.#waiter(line)
  }
}
