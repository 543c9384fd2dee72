import { ApiClient } from "../../../src/client/api-client.ts"
import { Session, type SessionOptions } from "../../../src/client/session.ts"
import { makeApi, type ApiSetup } from "../api/harness.ts"

/** A session over an application with a fake engine, and all that it writes. */
export function makeSession(options: Partial<SessionOptions> = {}, setup: ApiSetup = {}) {
  const api = makeApi({ reply: "Hello<|eos|>", ...setup })
  const fetch = (request: Request) => api.app.handle(request)
  const client = new ApiClient({ baseUrl: "http://localhost/v1", apiKey: null, fetch })
  const written: string[] = []
  const said: string[] = []
  const session = new Session({
    kind: "chat", client, model: "fake", systemPrompt: null, settings: new Map(), stats: false,
    output: {
      isTerminal: false, now: () => 0, write: (text) => written.push(text), say: (text) => said.push(text),
    },
    ...options,
  })
  const lastPrompt = () => api.fake.tokenizer.decode(api.fake.core.added.at(-1)!.promptTokenIds)
  return { api, session, said, text: () => written.join(""), lastPrompt }
}

/** Types `lines`, then ends the input. */
export function typing(...lines: string[]) {
  const prompts: string[] = []
  let isClosed = false
  const reader = {
    read: async (prompt: string) => {
      prompts.push(prompt)
      return isClosed ? null : (lines.shift() ?? null)
    },
    clearLine: () => false,
    redraw: () => {},
    close: () => void (isClosed = true),
  }
  return { prompts, makeReader: () => reader }
}
