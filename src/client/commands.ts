/** What may be typed instead of a question: a table of words that start with a slash. */
import { readFileSync, writeFileSync } from "node:fs"
import type { Conversation } from "./conversation.ts"
import { SETTINGS, withoutSetting, withSetting, type Settings } from "./settings.ts"

/** What the session lets commands see and change. */
export interface CommandContext {
  /** Null where text is completed and nothing is remembered. */
  readonly conversation: Conversation | null
  readonly model: string
  settings: Settings
  /** Words for the user. */
  readonly say: (text: string) => void
}

/** What comes after a command. */
export type CommandResult = { readonly kind: "go-on" } | { readonly kind: "exit" } | { kind: "ask"; text: string }

const GO_ON: CommandResult = { kind: "go-on" }

interface Command {
  readonly usage: string
  readonly help: string
  /** Only where there is a conversation. */
  readonly isOfChat: boolean
  run(context: CommandContext, rest: string): CommandResult
}

type RunInChat = (chat: Conversation, context: CommandContext, rest: string) => CommandResult | void
type Run = (context: CommandContext, rest: string) => CommandResult | void

function ofChat(usage: string, help: string, run: RunInChat): Command {
  return { usage, help, isOfChat: true, run: (context, rest) => run(context.conversation!, context, rest) ?? GO_ON }
}

function always(usage: string, help: string, run: Run): Command {
  return { usage, help, isOfChat: false, run: (context, rest) => run(context, rest) ?? GO_ON }
}

export const COMMANDS: Readonly<Record<string, Command>> = {
  help: always("/help", "this list", (context) => context.say(helpText(context))),
  exit: always("/exit", "end; so does Ctrl-D", () => ({ kind: "exit" })),
  set: always("/set NAME VALUE", `set ${Object.keys(SETTINGS).join(", ")}; no VALUE unsets`, set),
  show: always("/show", "the model and the settings", (context) => context.say(describeSettings(context))),
  system: ofChat("/system TEXT", "set the system prompt; no TEXT removes it", (chat, _, rest) => {
    chat.system = rest
  }),
  clear: ofChat("/clear", "forget the conversation, not the system prompt", (chat) => chat.clear()),
  undo: ofChat("/undo", "forget the last question and its answer", (chat, { say }) => {
    if (chat.undo() === null) say("there is nothing to undo")
  }),
  retry: ofChat("/retry", "answer the last question again", (chat, { say }) => {
    const text = chat.undo()
    return text === null ? say("there is no question yet") : { kind: "ask", text }
  }),
  save: ofChat("/save FILE", "write the conversation to a file, as JSON", (chat, { say }, rest) =>
    attempt(say, () => writeFileSync(rest, chat.toJson()))),
  load: ofChat("/load FILE", "continue a saved conversation", (chat, { say }, rest) =>
    attempt(say, () => chat.load(readFileSync(rest, "utf8")))),
}

/** Null for text that is no command. A line that starts with two slashes is text that starts with one. */
export function runCommand(line: string, context: CommandContext): CommandResult | null {
  const match = /^\/([a-z?]*)(?:\s+([\s\S]*))?$/.exec(line.trim())
  if (match === null) return null
  const [, name = "", rest = ""] = match
  const command = COMMANDS[name]
  if (command !== undefined && (!command.isOfChat || context.conversation !== null))
    return command.run(context, rest.trim())
  context.say(`there is no command /${name}; /help lists them`)
  return GO_ON
}

function set(context: CommandContext, rest: string): void {
  const [name = "", ...words] = rest.split(/\s+/)
  const value = words.join(" ")
  attempt(context.say, () => {
    const { settings } = context
    context.settings = value === "" ? withoutSetting(settings, name) : withSetting(settings, name, value)
  })
}

function describeSettings({ model, settings, conversation }: CommandContext): string {
  const lines = [`model: ${model}`, ...[...settings].map(([field, value]) => `${field}: ${value}`)]
  if (conversation !== null) lines.push(`system: ${conversation.system ?? "none"}`)
  return lines.join("\n")
}

function helpText({ conversation }: CommandContext): string {
  const shown = Object.values(COMMANDS).filter(({ isOfChat }) => !isOfChat || conversation !== null)
  const width = Math.max(...shown.map(({ usage }) => usage.length))
  const lines = shown.map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`)
  return [...lines, 'Text over several lines stands between lines of """. Ctrl-C stops an answer.'].join("\n")
}

function attempt(say: (text: string) => void, action: () => void): void {
  try {
    action()
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
  }
}
