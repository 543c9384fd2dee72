/**
 * Wires the text threads: one with a second tokenizer of the same model, and one for templates, away from the thread
 * that answers requests.
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { TextThread } from "./api/work/text-thread.ts"
import { workerUrl } from "./base/embedded.ts"

/** The thread's first message: whose texts they are. */
export interface TextThreadStart {
  /** A directory with another tokenizer, or null for the model's own. */
  readonly tokenizerPath: string | null
  readonly modelPath: string
  /** Of the tokenizer's files when the server started. */
  readonly fingerprint: string
}

export function startTextThreads(
  paths: Pick<TextThreadStart, "tokenizerPath" | "modelPath">,
): { readonly texts: TextThread; readonly templates: TextThread } {
  return { texts: startTextThread(paths), templates: startTextThread(paths) }
}

export function startTextThread(paths: Pick<TextThreadStart, "tokenizerPath" | "modelPath">): TextThread {
  const start: TextThreadStart = { ...paths, fingerprint: tokenizerFingerprint(paths) }
  return new TextThread(() => {
    const worker = new Worker(workerUrl("text-worker.ts"))
    worker.postMessage(start)
    return worker
  })
}

/**
 * Changes with the files that a tokenizer is read from. The thread starts when it is first needed: by then there may be
 * another model where this server's was.
 */
export function tokenizerFingerprint(
  { tokenizerPath, modelPath }: Pick<TextThreadStart, "tokenizerPath" | "modelPath">,
): string {
  const path = tokenizerPath ?? modelPath
  const isDirectory = statSync(path).isDirectory()
  const files = isDirectory ? readdirSync(path).filter((name) => name.endsWith(".json")).sort() : [""]
  const stats = files.map((name) => {
    const { ino, size, mtimeMs } = statSync(join(path, name))
    return [name, ino, size, mtimeMs]
  })
  return JSON.stringify(stats)
}
