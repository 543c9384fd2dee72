/**
 * Wires the text threads: one with a second tokenizer of the same model, and one for templates, away from the thread
 * that answers requests.
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import type { TextThreads } from "../api/work/text-work.ts"
import { TextThread } from "../api/work/text-thread.ts"
import { workerUrl } from "../base/embedded.ts"

/** Of both, with a tokenizer of 150,000 tokens; what a request brings along not included. */
export const TEXT_THREADS_BYTES = 160 * 2 ** 20

/** The thread's first message: whose texts they are. */
export interface TextThreadStart {
  /** A directory with another tokenizer, or null for the model's own. */
  readonly tokenizerPath: string | null
  readonly modelPath: string
  /** Of the tokenizer's files when the server started. */
  readonly fingerprint: string
  /** Before it is asked for; it takes a part of a second. */
  readonly loadsTokenizer: boolean
}

export type TokenizerPaths = Pick<TextThreadStart, "tokenizerPath" | "modelPath">

/** A large request mostly needs both, one after the other: the first thread that starts has the other start with it. */
export function startTextThreads(paths: TokenizerPaths): Record<keyof TextThreads, TextThread> {
  const texts: TextThread = startTextThread(paths, () => templates.warm())
  const templates: TextThread = startTextThread(paths, () => texts.warm(), false)
  return { texts, templates }
}

export function startTextThread(paths: TokenizerPaths, onStart?: () => void, loadsTokenizer = true): TextThread {
  const start: TextThreadStart = { ...paths, fingerprint: tokenizerFingerprint(paths), loadsTokenizer }
  return new TextThread(() => {
    const worker = new Worker(workerUrl("text-worker.ts"))
    worker.postMessage(start)
    return worker
  }, onStart)
}

/**
 * Changes with the files that a tokenizer is read from. The thread starts when it is first needed: by then there may be
 * another model where this server's was.
 */
export function tokenizerFingerprint({ tokenizerPath, modelPath }: TokenizerPaths): string {
  const path = tokenizerPath ?? modelPath
  const isDirectory = statSync(path).isDirectory()
  const files = isDirectory ? readdirSync(path).filter((name) => name.endsWith(".json")).sort() : [""]
  const stats = files.map((name) => {
    const { ino, size, mtimeMs } = statSync(join(path, name))
    return [name, ino, size, mtimeMs]
  })
  return JSON.stringify(stats)
}
