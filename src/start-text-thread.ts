/** Wires the text thread: a second tokenizer of the same model, away from the thread that answers requests. */
import { TextThread } from "./api/work/text-thread.ts"
import { workerUrl } from "./base/embedded.ts"

/** The thread's first message: whose texts they are. */
export interface TextThreadStart {
  /** A directory with another tokenizer, or null for the model's own. */
  readonly tokenizerPath: string | null
  readonly modelPath: string
}

export function startTextThread(start: TextThreadStart): TextThread {
  return new TextThread(() => {
    const worker = new Worker(workerUrl("text-worker.ts"))
    worker.postMessage(start)
    return worker
  })
}
