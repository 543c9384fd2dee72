/** `baozi chat` and `baozi complete`: wires a session to a server or a model of its own, and to the terminal. */
import { ConfigError } from "../../base/errors.ts"
import { stderr, stdout, terminalOutput } from "../../base/standard-streams.ts"
import type { LocalConfig } from "../local-options.ts"
import { SAMPLING_FLAGS } from "../local-options.ts"
import { ApiClient, ApiError } from "../../client/api-client.ts"
import { historyPath, readHistory, writeHistory } from "../../client/history-file.ts"
import { LineReader } from "../../client/line-reader.ts"
import { Session } from "../../client/session.ts"
import { withSetting, type Settings } from "../../client/settings.ts"
import { startLocalApp } from "../../app/local-app.ts"

type TalkConfig = LocalConfig<"complete">

interface Partner {
  readonly client: ApiClient
  readonly model: string
  stop(): Promise<void>
}

/** What a program that Ctrl-C ended says. */
const EXIT_INTERRUPTED = 130

export async function talk(
  kind: "chat" | "complete", config: TalkConfig, systemPrompt: string | null,
): Promise<number> {
  const isInteractive = config.quick === null && process.stdin.isTTY === true
  const question = isInteractive ? null : await readQuestion(config.quick)
  const settings = settingsOf(config)
  try {
    const partner = await findPartner(config)
    const { client, model } = partner
    const { stats } = config
    const session = new Session({ kind, client, model, systemPrompt, settings, stats, output: output(isInteractive) })
    const code = question === null ? await converse(session, config) : await answer(session, question)
    await partner.stop()
    return code
  } catch (error) {
    throw error instanceof ApiError ? new ConfigError(error.message) : error
  }
}

function settingsOf(config: TalkConfig): Settings {
  let settings: Settings = new Map()
  for (const key of Object.keys(SAMPLING_FLAGS) as (keyof typeof SAMPLING_FLAGS)[]) {
    const given = config[key]
    const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    if (given !== null) settings = withSetting(settings, name, given)
  }
  return settings
}

/** The text to answer: that of --quick, then what is piped in. Errors: `ConfigError` when there is none. */
async function readQuestion(quick: string | null): Promise<string> {
  const piped = process.stdin.isTTY === true ? "" : await Bun.stdin.text()
  const text = [quick ?? "", piped.replace(/\n$/, "")].filter((part) => part !== "").join("\n\n")
  if (text === "") throw new ConfigError("there is nothing to answer: standard input is empty")
  return text
}

/** A server, or a model that is run here. Errors: `ConfigError`, `ApiError`. */
async function findPartner(config: TalkConfig): Promise<Partner> {
  const { url, engine, modelName } = config
  if (url === null) {
    if (process.stderr.isTTY) stderr.write(`loading ${engine.model ?? "the default model"} ...`)
    const app = await startLocalApp(engine)
    if (process.stderr.isTTY) stderr.write("\r\x1b[K")
    await stderr.flush()
    const fetch = (request: Request) => app.handle(request)
    const client = new ApiClient({ baseUrl: "http://localhost/v1", apiKey: null, fetch })
    return { client, model: app.model, stop: () => app.stop() }
  }
  if (engine.model !== null) throw new ConfigError("a model is run here or served at --url: give one of them")
  const apiKey = config.apiKey ?? (process.env["BAOZI_API_KEY"] || process.env["OPENAI_API_KEY"] || null)
  const client = new ApiClient({ baseUrl: baseUrl(url), apiKey, fetch })
  return { client, model: modelName ?? (await client.firstModel()), stop: async () => {} }
}

/** A server's address gets "/v1" where it names no path. */
function baseUrl(word: string): string {
  const url = URL.parse(word)
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new ConfigError(`--url is ${JSON.stringify(word)}, but must be one such as http://127.0.0.1:8000/v1`)
  return url.pathname === "/" ? new URL("/v1", url).href : url.href.replace(/\/+$/, "")
}

function output(isInteractive: boolean) {
  const rest = { isTerminal: process.stdout.isTTY === true, now: () => performance.now() / 1000 }
  if (!isInteractive) return {
    ...rest, write: (text: string) => void stdout.write(text), say: (text: string) => void stderr.write(`${text}\n`),
  }
  // In order with the lines that are edited, which go to the runtime's own streams.
  const terminal = terminalOutput()
  return {
    ...rest, write: (text: string) => void terminal.write(text),
    say: (text: string) => void process.stderr.write(`${text}\n`),
  }
}

async function answer(session: Session, question: string): Promise<number> {
  let isInterrupted = false
  process.on("SIGINT", () => {
    isInterrupted = session.interrupt()
    if (!isInterrupted) process.exit(EXIT_INTERRUPTED)
  })
  await session.ask(question)
  return isInterrupted ? EXIT_INTERRUPTED : 0
}

async function converse(session: Session, config: TalkConfig): Promise<number> {
  const path = config.history ? historyPath(process.env) : null
  const history = readHistory(path)
  session.say(`${session.model}. /help lists the commands, Ctrl-D ends.`)
  const made: LineReader[] = []
  await session.run((onInterrupt) => {
    const reader = new LineReader({ input: process.stdin, output: process.stdout, history, onInterrupt })
    made.push(reader)
    return reader
  })
  // The prompt that was not answered is left behind.
  process.stdout.write("\n")
  writeHistory(path, [...made.flatMap(({ typed }) => typed), ...history])
  return 0
}
