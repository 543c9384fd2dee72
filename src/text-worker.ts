/**
 * A text thread: parses large bodies, renders conversations, and encodes and decodes long texts, for the thread that
 * answers requests.
 */
import { ConversationRenderer } from "./api/chat/conversation-job.ts"
import { bodyText, parseBody } from "./api/http/parse-body.ts"
import { runJob } from "./api/work/text-thread.ts"
import type { FromTextThread, ToTextThread } from "./api/work/text-thread.ts"
import { tokenizeAnswer } from "./api/work/text-work.ts"
import type { TextWork } from "./api/work/text-work.ts"
import { ConfigError } from "./base/errors.ts"
import { tokenizerFingerprint } from "./app/start-text-threads.ts"
import type { TextThreadStart } from "./app/start-text-threads.ts"
import type { Tokenizer } from "./text/tokenizer.ts"
import { tokenizerOf } from "./app/tokenizer-of.ts"

declare const self: Worker

async function loadTokenizer(start: TextThreadStart): Promise<Tokenizer> {
  const tokenizer = await tokenizerOf(start.tokenizerPath, start.modelPath)
  if (tokenizerFingerprint(start) === start.fingerprint) return tokenizer
  throw new ConfigError(`the files of ${start.tokenizerPath ?? start.modelPath} have changed since the start`)
}

function makeWork(start: TextThreadStart): TextWork {
  const renderer = new ConversationRenderer()
  let tokenizer: Promise<Tokenizer> | null = null
  const loaded = () => (tokenizer ??= loadTokenizer(start))
  // Jobs that need it fail with the reason; bodies are parsed, and conversations rendered, without it.
  if (start.loadsTokenizer) loaded().catch(() => {})
  return {
    parse: async (bytes, shapes, limits) => {
      const text = bodyText(bytes, limits)
      // The bytes were handed over; without them there is room for what the text becomes.
      ;(bytes.buffer as ArrayBuffer).transfer(0)
      return parseBody(text, shapes)
    },
    render: async (job) => renderer.render(job),
    encode: async (text, addSpecialTokens) => (await loaded()).encode(text, { addSpecialTokens }),
    count: async (text, addSpecialTokens) => (await loaded()).encode(text, { addSpecialTokens }).length,
    tokenize: async (text, options) => tokenizeAnswer(await loaded(), text, options),
    decode: async (tokenIds) => (await loaded()).decode(tokenIds),
  }
}

let work: TextWork | null = null

self.onmessage = ({ data }: MessageEvent<TextThreadStart | ToTextThread>) => {
  if (!("job" in data)) {
    work = makeWork(data)
    return
  }
  const { jobId, job } = data
  void runJob(work!, job).then((result) => {
    const value = result.isOk ? result.value : null
    const transferred = ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : []
    self.postMessage({ jobId, result } satisfies FromTextThread, transferred)
  })
}
