import type { Message } from "./api-client.ts"

/** The messages of a chat: a system prompt or none, then questions and answers in turn. */
export class Conversation {
  #system: string | null
  #turns: Message[] = []

  constructor(system: string | null) {
    this.#system = system
  }

  get messages(): Message[] {
    return [...(this.#system === null ? [] : [{ role: "system", content: this.#system } as const]), ...this.#turns]
  }

  get system(): string | null {
    return this.#system
  }

  set system(text: string | null) {
    this.#system = text === "" ? null : text
  }

  ask(content: string): void {
    this.#turns.push({ role: "user", content })
  }

  /** An answer that was stopped stays, as far as it came; an empty one takes its question with it. */
  answer(content: string): void {
    if (content === "") this.#turns.pop()
    else this.#turns.push({ role: "assistant", content })
  }

  /** Takes back the last question, answered or not. Null when there is none. */
  undo(): string | null {
    const index = this.#turns.findLastIndex(({ role }) => role === "user")
    return index < 0 ? null : this.#turns.splice(index)[0]!.content
  }

  clear(): void {
    this.#turns = []
  }

  toJson(): string {
    return `${JSON.stringify(this.messages, null, 2)}\n`
  }

  /** Replaces everything by what `toJson` gave. Errors: `Error` in words, and nothing has changed. */
  load(text: string): void {
    const value: unknown = JSON.parse(text)
    if (!Array.isArray(value) || !value.every(isMessage)) throw new Error("not a list of messages")
    const [first, ...rest] = value as Message[]
    const hasSystem = first?.role === "system"
    this.#system = hasSystem ? first.content : null
    this.#turns = hasSystem || first === undefined ? rest : [first, ...rest]
  }
}

function isMessage(value: unknown): value is Message {
  const { role, content } = (value ?? {}) as Partial<Record<string, unknown>>
  return (role === "system" || role === "user" || role === "assistant") && typeof content === "string"
}
