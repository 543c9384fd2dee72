/** The text thread: parses large bodies, and encodes and decodes long texts, for the thread that answers requests. */
import { bodyText, parseBody } from "./api/parse-body.ts"
import { runJob } from "./api/work/text-thread.ts"
import type { FromTextThread, ToTextThread } from "./api/work/text-thread.ts"
import type { TextWork } from "./api/work/text-work.ts"
import { ConfigError } from "./base/errors.ts"
import { tokenizerFingerprint } from "./start-text-thread.ts"
import type { TextThreadStart } from "./start-text-thread.ts"
import type { Tokenizer } from "./text/tokenizer.ts"
import { tokenizerOf } from "./tokenizer-of.ts"

declare const self: Worker

async function loadTokenizer(start: TextThreadStart): Promise<Tokenizer> {
  const tokenizer = await tokenizerOf(start.tokenizerPath, start.modelPath)
  if (tokenizerFingerprint(start) === start.fingerprint) return tokenizer
  throw new ConfigError(`the files of ${start.tokenizerPath ?? start.modelPath} have changed since the start`)
}

function makeWork(start: TextThreadStart): TextWork {
  const tokenizer = loadTokenizer(start)
  // Whoever needs it hears what went wrong; bodies are parsed without it.
  tokenizer.catch(() => {})
  return {
    parse: async (bytes, shapes, limits) => {
      const text = bodyText(bytes, limits)
      // The bytes were handed over; without them there is room for what the text becomes.
      ;(bytes.buffer as ArrayBuffer).transfer(0)
      return parseBody(text, shapes)
    },
    encode: async (text, addSpecialTokens) => (await tokenizer).encode(text, { addSpecialTokens }),
    decode: async (tokenIds) => (await tokenizer).decode(tokenIds),
  }
}

let work: TextWork | null = null

self.onmessage = ({ data }: MessageEvent<TextThreadStart | ToTextThread>) => {
  if (!("job" in data)) {
    work = makeWork(data)
    return
  }
  const { jobId, job } = data
  void runJob(work!, job).then((result) => self.postMessage({ jobId, result } satisfies FromTextThread))
}
