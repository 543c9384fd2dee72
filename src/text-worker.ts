/** The text thread: parses large bodies, and encodes and decodes long texts, for the thread that answers requests. */
import { parseBody } from "./api/parse-body.ts"
import { runJob } from "./api/work/text-thread.ts"
import type { FromTextThread, ToTextThread } from "./api/work/text-thread.ts"
import type { TextWork } from "./api/work/text-work.ts"
import type { TextThreadStart } from "./start-text-thread.ts"
import { tokenizerOf } from "./tokenizer-of.ts"

declare const self: Worker

function makeWork({ tokenizerPath, modelPath }: TextThreadStart): TextWork {
  const tokenizer = tokenizerOf(tokenizerPath, modelPath)
  // Whoever needs it hears what went wrong; bodies are parsed without it.
  tokenizer.catch(() => {})
  return {
    parse: async (...args) => parseBody(...args),
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
