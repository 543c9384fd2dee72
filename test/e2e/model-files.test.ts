/** Model files as people have them, served by the executable. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { executable, runToEnd } from "./executable.ts"
import { startServerProcess } from "./server-process.ts"

const baozi = executable()
const llama = fixture("models/llama")
const gguf = fixture("models/gguf-llama/Q8_0")
const skip = baozi === null || llama === null || gguf === null

let root = ""
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "baozi-model-files-"))))
afterAll(() => rmSync(root, { recursive: true }))

type Json = any

interface Served {
  get(path: string): Promise<Json>
  post(path: string, body: Json): Promise<{ status: number; json: Json }>
}

/** Serves `model` while `use` runs; resolves with what the server wrote. */
async function serving(words: readonly string[], use: (server: Served) => Promise<void>): Promise<string> {
  const server = await startServerProcess([baozi!, "serve", ...words], { cwd: root, env: { HOME: root } })
  try {
    const post: Served["post"] = async (path, body) => {
      const headers = { "content-type": "application/json" }
      const response = await fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })
      return { status: response.status, json: await response.json() }
    }
    const get: Served["get"] = async (path) => (await fetch(`${server.url}${path}`)).json()
    await use({ get, post })
  } finally {
    await server.stop()
  }
  return server.log()
}

function copyOfLlama(name: string): string {
  const dir = join(root, name)
  cpSync(llama!, dir, { recursive: true })
  return dir
}

function changeJson(path: string, change: (json: Json) => void): void {
  const json = JSON.parse(readFileSync(path, "utf8")) as Json
  change(json)
  rmSync(path)
  writeFileSync(path, JSON.stringify(json))
}

/** The GGUF fixture with `from`, which it must hold, replaced by as many bytes. */
function changedGguf(name: string, from: Buffer, to: Buffer): string {
  const bytes = readFileSync(join(gguf!, "model.gguf"))
  const at = bytes.indexOf(from)
  expect(at).toBeGreaterThan(0)
  expect(to.length).toBe(from.length)
  to.copy(bytes, at)
  const path = join(root, name)
  writeFileSync(path, bytes)
  return path
}

const messages = [{ role: "user", content: "hi" }]
const tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } }]

describe.skipIf(skip)("chat templates by name", () => {
  const render = async ({ post }: Served, body: Json) =>
    (await post("/v1/chat/completions/render", { messages, ...body })).json.prompt

  test("tool_use for chats with tools, beside the default in tokenizer_config.json", async () => {
    const dir = copyOfLlama("named")
    rmSync(join(dir, "chat_template.jinja"), { force: true })
    changeJson(join(dir, "tokenizer_config.json"), (json) => {
      json.chat_template = "plain {{ messages[0].content }}"
    })
    mkdirSync(join(dir, "additional_chat_templates"))
    const toolUse = "tools: {{ tools[0].function.name }}"
    writeFileSync(join(dir, "additional_chat_templates", "tool_use.jinja"), toolUse)
    await serving([dir], async (server) => {
      expect(await render(server, {})).toBe("plain hi")
      expect(await render(server, { tools, tool_choice: "none" })).toBe("tools: look_up")
      expect(await render(server, { tools, tool_choice: "none", chat_template: "default" })).toBe("plain hi")
    })
    await serving([dir, "--chat-template", "default"], async (server) => {
      expect(await render(server, { tools, tool_choice: "none" })).toBe("plain hi")
    })
    const { code, stderr } = runToEnd([baozi!, "serve", dir, "--chat-template", "absent"], { cwd: root })
    const message = /error: --chat-template absent: .*named default, tool_use/
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)])
  })
})

describe.skipIf(skip)("a token beyond the embedding", () => {
  test("keeps nobody from serving; a text that needs it gets an error that names it", async () => {
    const dir = copyOfLlama("padded")
    changeJson(join(dir, "tokenizer.json"), (json) => json.added_tokens.push({
      id: 512, content: "[PAD]", special: true, single_word: false, lstrip: false, rstrip: false, normalized: false,
    }))
    changeJson(join(dir, "tokenizer_config.json"), (json) => void (json.pad_token = "[PAD]"))
    changeJson(join(dir, "config.json"), (json) => void (json.pad_token_id = 512))
    const log = await serving([dir], async ({ post }) => {
      expect((await post("/v1/completions", { prompt: "hi", max_tokens: 1 })).status).toBe(200)
      for (const [path, body] of [
        ["/v1/completions", { prompt: "hi[PAD]" }],
        ["/v1/completions", { prompt: ["hi", "hi[PAD]"] }],
        ["/v1/completions", { prompt: [1, 512] }],
        ["/v1/chat/completions", { messages: [{ role: "user", content: "[PAD]" }] }],
      ] as const) {
        const { status, json } = await post(path, { ...body, max_tokens: 1 })
        expect([status, json.error.message]).toEqual([400, expect.stringContaining('"[PAD]", token 512')])
      }
      expect((await post("/v1/completions", { prompt: "hi", max_tokens: 1 })).status).toBe(200)
    })
    expect(log).toMatch(/WARNING.*from 512 to 512 \("\[PAD\]"\)/i)
  })
})

describe.skipIf(skip)("a GGUF file", () => {
  const u32 = (value: number) => Buffer.from(Uint32Array.of(4, value).buffer)
  const eos = Buffer.from("tokenizer.ggml.eos_token_id")

  test("ends a chat where a turn ends, whatever its end-of-sequence token", async () => {
    // The base model's <|endoftext|> instead of <|im_end|>, and no .gguf at the end of the name.
    const changed = changedGguf("blob", Buffer.concat([eos, u32(2)]), Buffer.concat([eos, u32(0)]))
    await serving([changed], async ({ post }) => {
      for (const id of [0, 2]) {
        const { json } = await post("/v1/chat/completions", { messages, max_tokens: 8, logit_bias: { [id]: 100 } })
        expect([json.choices[0].finish_reason, json.usage.completion_tokens]).toEqual(["stop", 1])
      }
      const endless = { messages, max_tokens: 3, logit_bias: { "2": 100 }, ignore_eos: true }
      const { json } = await post("/v1/chat/completions", endless)
      expect([json.choices[0].finish_reason, json.usage.completion_tokens]).toEqual(["length", 3])
    })
  })

  test("without a pre-tokenizer warns loudly", async () => {
    const changed = changedGguf("old.GGUF", Buffer.from("tokenizer.ggml.pre"), Buffer.from("tokenizer.ggml.prx"))
    const log = await serving([changed], async ({ post }) => {
      expect((await post("/v1/completions", { prompt: "hi", max_tokens: 1 })).status).toBe(200)
    })
    expect(log).toContain("tokenizer.ggml.pre is missing")
    expect(log).toContain("GENERATION QUALITY WILL BE DEGRADED!")
  })
})

describe.skipIf(skip)("--hf-overrides", () => {
  test("lengthens the context, which /v1/models tells", async () => {
    const words = ["--hf-overrides", '{"rope_scaling": {"rope_type": "yarn", "factor": 4}}', "--max-model-len", "2000"]
    await serving([llama!, ...words], async ({ get, post }) => {
      expect((await get("/v1/models")).data[0].max_model_len).toBe(2000)
      const prompt = Array.from({ length: 1990 }, (_, i) => 3 + (i % 500))
      const { status, json } = await post("/v1/completions", { prompt, max_tokens: 10, ignore_eos: true })
      expect([status, json.usage?.completion_tokens]).toEqual([200, 10])
    })
  })
})
