import { afterAll, beforeAll, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { bodyShape } from "../../../../src/api/http/body-schemas.ts"
import { DEFAULT_BODY_LIMITS } from "../../../../src/api/http/parse-body.ts"
import { ChatRequest } from "../../../../src/api/schema/chat.ts"
import type { ConversationJob } from "../../../../src/api/chat/conversation-job.ts"
import { CompletionRequest } from "../../../../src/api/schema/completions.ts"
import { LocalTextWork } from "../../../../src/api/work/text-work.ts"
import { TextThread } from "../../../../src/api/work/text-thread.ts"
import { RequestError } from "../../../../src/base/errors.ts"
import { parseExactly, withNumberTexts } from "../../../../src/base/json-number.ts"
import { startTextThread } from "../../../../src/app/start-text-threads.ts"
import { safetensorsFile, TempDir } from "../../model/files.ts"
import { ChatTemplates } from "../../../../src/text/chat-templates.ts"
import { byteLevelJson, tinyTokenizer } from "../../text/tiny.ts"

const TINY = { merges: [["a", "b"]] as [string, string][], added: [{ content: "<|end|>" }] }
const WEIGHTS = safetensorsFile({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }, new Uint8Array(4))

let dir: TempDir
let thread: TextThread

function writeModel(merges = TINY.merges): void {
  writeFileSync(join(dir.path, "model.safetensors"), WEIGHTS)
  writeFileSync(join(dir.path, "config.json"), "{}")
  writeFileSync(join(dir.path, "tokenizer.json"), JSON.stringify(byteLevelJson({ ...TINY, merges })))
}

beforeAll(() => {
  dir = new TempDir()
  writeModel()
  thread = startTextThread({ tokenizerPath: null, modelPath: dir.path })
})
afterAll(() => {
  thread.stop()
  dir[Symbol.dispose]()
})

const bytes = (text: string) => new TextEncoder().encode(text)
const SHAPES = [bodyShape(ChatRequest, "messages"), bodyShape(CompletionRequest, "prompt")]

test("gives what the work gives on this thread", async () => {
  const here = new LocalTextWork(await tinyTokenizer(TINY), new ChatTemplates())
  for (const text of ["", "abab ab é😀<|end|>", "\u2028 x".repeat(5000)]) {
    expect(await thread.encode(text, true)).toEqual(await here.encode(text, true))
    const ids = await here.encode(text, false)
    expect(await thread.decode(ids)).toBe(await here.decode(ids))
    expect(await thread.count(text, true)).toBe(await here.count(text, true))
    const options = { addSpecialTokens: false, withStrings: true, maxModelLen: 9 }
    expect(await thread.tokenize(text, options)).toEqual(await here.tokenize(text, options))
  }
  const bodies = [
    '{"prompt":["a","\\ud800"],"n":"2","seed":18446744073709551615,"x":[1,-0,1e999,1.5]}',
    '{"messages":[{"role":"user","content":"a","__proto__":{"b":1}}]}', '{"neither":1}',
    '{"messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"default":1.0}}}],"seed":1.0}',
  ]
  for (const body of bodies) {
    const wanted = await here.parse(bytes(body), SHAPES, DEFAULT_BODY_LIMITS)
    expect(await thread.parse(bytes(body), SHAPES, DEFAULT_BODY_LIMITS)).toEqual(wanted)
  }
})

const conversation = (source: string, variables = "{}"): ConversationJob => ({
  template: { source, isModels: false },
  messages: [{ role: "user", content: "\ud800 a" }, {
    role: "assistant", tool_calls: [{ id: "a", function: { name: "f", arguments: '{"id":2512292042121000001}' } },
      { id: "b", function: { name: "f", arguments: "[1" } }],
  }],
  input: { tools: null, documents: null, kwargs: parseExactly(variables) as Record<string, unknown> },
  options: { isContinued: false, mayCallTools: false, toolParser: null },
  modelName: "m", argumentLimits: DEFAULT_BODY_LIMITS, tellsStarts: true,
})

test("renders what the work renders on this thread, with numbers as they are written", async () => {
  const here = new LocalTextWork(await tinyTokenizer(TINY), new ChatTemplates())
  const source = "{% for m in messages %}{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}|{% endfor %}{{ n }}"
  const job = conversation(source, '{"n":[1.0,1e20,-0,null,12345678901234567890]}')
  const rendered = await thread.render(job)
  expect(rendered).toEqual(await here.render(job))
  expect(rendered.text).toEndWith("[1.0, 1e+20, 0, None, 12345678901234567890]")
  expect(rendered.text).toContain('"arguments": {"id": 2512292042121000001}')
  expect(rendered.ignoredArguments).toEqual(
    [{ param: "messages.1.tool_calls.1.function.arguments", problem: "not valid JSON" }])
})

test("refuses to render as the work refuses on this thread", async () => {
  const here = new LocalTextWork(await tinyTokenizer(TINY), new ChatTemplates())
  const endless = "{% for a in range(99999999) %}{% endfor %}"
  for (const source of ["{{", "{{ raise_exception('no') }}", "{{ 1 / 0 }}", endless]) {
    const wanted: Error = await here.render(conversation(source)).then(() => null!, (error) => error)
    const got: Error = await thread.render(conversation(source)).then(() => null!, (error) => error)
    expect(wanted).toBeInstanceOf(RequestError)
    expect({ ...got, message: got.message }).toEqual({ ...wanted, message: wanted.message })
  }
})

test("refuses as the work refuses on this thread", async () => {
  const here = new LocalTextWork(await tinyTokenizer(TINY), new ChatTemplates())
  for (const body of ["", "{", '{"prompt":[{}]}', "[".repeat(300), '{"messages":[{"role":1}]}',
    `{"messages":[],"x":${"9".repeat(4301)}}`, `{"messages":[],"x":[${"1.0,".repeat(100_000)}1.0]}`]) {
    const wanted: Error = await here.parse(bytes(body), SHAPES, DEFAULT_BODY_LIMITS).then(() => null!, (error) => error)
    const got: Error = await thread.parse(bytes(body), SHAPES, DEFAULT_BODY_LIMITS).then(() => null!, (error) => error)
    expect({ ...got, message: got.message }).toEqual({ ...wanted, message: wanted.message })
  }
})

test("tells the numbers of a body as they are written, which the body itself cannot carry", async () => {
  const text = '{"messages":[{"role":"user","content":"a"}],"documents":[{"id":2512292042121000001,"x":[1.0,0.5]}],' +
    '"seed":18446744073709551615,"temperature":1.0}'
  const { body, numbers } = await thread.parse(bytes(text), SHAPES, DEFAULT_BODY_LIMITS)
  expect(JSON.stringify(body)).not.toContain("2512292042121000001")
  const exact = withNumberTexts(body, numbers) as ChatRequest
  expect(JSON.stringify(exact.documents)).toBe('[{"id":2512292042121000001,"x":[1.0,0.5]}]')
  expect([exact.temperature, exact.seed]).toEqual([1, "18446744073709551615"])
})

test("a body in a part of a buffer leaves the rest of it alone", async () => {
  const buffer = bytes('##{"prompt":"a"}##')
  const { body } = await thread.parse(buffer.subarray(2, -2), SHAPES, DEFAULT_BODY_LIMITS)
  expect([body, buffer.length]).toEqual([{ prompt: "a" }, 18])
})

test("jobs fail with their thread, and later ones get another", async () => {
  let worker!: Worker
  const startable = startTextThread({ tokenizerPath: null, modelPath: dir.path })
  const mortal = new TextThread(() => {
    worker = new Worker(new URL("data:text/javascript,self.onmessage=()=>{}"))
    return worker
  })
  const sent = () => new Promise((resolve) => setImmediate(resolve))
  const lost = mortal.encode("a", false)
  await sent()
  worker.terminate()
  await expect(lost).rejects.toThrow("the text thread ended")
  const again = mortal.encode("a", false)
  await sent()
  worker.terminate()
  await expect(again).rejects.toThrow("the text thread ended")
  expect(await startable.encode("ab", false)).toEqual([256])
  startable.stop()
})

test("a tokenizer that is not the server's any more is not used", async () => {
  const late = startTextThread({ tokenizerPath: null, modelPath: dir.path })
  writeModel([["b", "c"]])
  await expect(late.encode("ab", false)).rejects.toThrow("have changed since the start")
  expect((await late.parse(bytes('{"prompt":"a"}'), SHAPES, DEFAULT_BODY_LIMITS)).body).toEqual({ prompt: "a" })
  late.stop()
})
