/** An application over the fake engine, and short ways to talk to it. */
import { createApp } from "../../../src/api/app.ts"
import type { App } from "../../../src/api/app.ts"
import type { ApiOptions } from "../../../src/api/context.ts"
import { makeLog } from "../../../src/base/log.ts"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { makeFakeEngine } from "../../fake-engine.ts"
import type { FakeEngine, FakeEngineOptions } from "../../fake-engine.ts"

const TEMPLATE =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
  "{% if tools %}[{{ tools | length }} tools]{% endif %}" +
  "{% if enable_thinking is defined %}[thinking {{ 'on' if enable_thinking else 'off' }}]{% endif %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body, or null where it is not JSON. */
  readonly json: Json
  /** The events of a stream, "[DONE]" included. */
  readonly events: Json[]
}

/** Parsed JSON that a test looks into without proving every step. */
export type Json = any

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream

export interface Api {
  readonly app: App
  readonly fake: FakeEngine
  readonly logLines: string[]
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  send(method: string, path: string, body?: Body, headers?: Record<string, string>): Promise<Answer>
}

export interface ApiSetup extends FakeEngineOptions {
  readonly api?: Partial<ApiOptions>
  readonly withoutTemplate?: boolean
}

export function makeApi({ api = {}, withoutTemplate = false, ...fakeOptions }: ApiSetup = {}): Api {
  const chatTemplate = withoutTemplate ? null : ChatTemplate.parse(TEMPLATE)
  const fake = makeFakeEngine({ chatTemplate, ...fakeOptions })
  const logLines: string[] = []
  const app = createApp({ log: makeLog({ write: (line) => logLines.push(line) }), ...api }, fake.engine)
  const send: Api["send"] = async (method, path, body, headers = {}) => {
    const init = { method, headers, ...(body === undefined ? {} : { body }) }
    return readAnswer(await app.handle(new Request(`http://localhost${path}`, init)))
  }
  const post: Api["post"] = (path, body, headers = {}) =>
    send("POST", path, JSON.stringify(body), { "content-type": "application/json", ...headers })
  return { app, fake, logLines, send, post }
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const { status, headers } = response
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") ?? false
  return { status, headers, text, json: isStream ? null : parsed(text), events: isStream ? readEvents(text) : [] }
}

export function readEvents(text: string): Json[] {
  const blocks = text.split("\n\n").filter((block) => block.startsWith("data: "))
  return blocks.map((block) => parsed(block.slice(6)) ?? block.slice(6))
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

export async function until(isTrue: () => boolean, what: string, ms = 5000): Promise<void> {
  const deadline = performance.now() + ms
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`)
    await Bun.sleep(2)
  }
}
