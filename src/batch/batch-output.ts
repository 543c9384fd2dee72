/**
 * The file that a batch's results go to, a line each, in the order in which they come.
 *
 * A line is written with one call, so that a run which is killed leaves whole lines and at most the beginning of one
 * more. A later run cuts that off, reads which requests are done, and adds what is missing.
 */
import { closeSync, ftruncateSync, fstatSync, openSync, readSync, writeSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"
import type { LineError } from "./batch-request.ts"

const CHUNK_BYTES = 1 << 20
const NEWLINE = 10

/** As in the output files of OpenAI's batches. */
export interface BatchResult {
  readonly id: string
  readonly custom_id: string | null
  readonly response: { readonly status_code: number; readonly request_id: string; readonly body: unknown } | null
  readonly error: LineError | null
}

export class BatchOutput {
  /** Requests that have a result, by custom_id. */
  readonly doneIds = new Set<string>()
  /** Lines without a custom_id that have a result, by their number. */
  readonly doneLines = new Set<number>()
  readonly #fd: number

  /** "-" is standard output, which nothing can be read back from. Errors: `ConfigError`. */
  constructor(path: string, { overwrite }: { overwrite: boolean }) {
    this.#fd = path === "-" ? 1 : open(path, overwrite)
    if (path === "-") return
    const endOfLines = this.#readDone(path)
    if (fstatSync(this.#fd).size > endOfLines) ftruncateSync(this.#fd, endOfLines)
  }

  write(result: BatchResult): void {
    const bytes = Buffer.from(`${JSON.stringify(result)}\n`)
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
  }

  close(): void {
    if (this.#fd !== 1) closeSync(this.#fd)
  }

  /** Takes in the results that are there. Returns where the last whole line ends. */
  #readDone(path: string): number {
    let line = 0
    let endOfLines = 0
    const pending: Uint8Array[] = []
    for (let at = 0; ; ) {
      const chunk = new Uint8Array(CHUNK_BYTES)
      const got = readSync(this.#fd, chunk, 0, chunk.length, at)
      if (got === 0) return endOfLines
      let start = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0 && end < got; end = chunk.indexOf(NEWLINE, start)) {
        this.#note(Buffer.concat([...pending, chunk.subarray(start, end)]).toString(), path, ++line)
        pending.length = 0
        start = end + 1
        endOfLines = at + start
      }
      if (start < got) pending.push(chunk.subarray(start, got))
      at += got
    }
  }

  #note(text: string, path: string, line: number): void {
    const result = parseResult(text)
    if (result === null)
      throw new ConfigError(
        `${path} holds something else than a batch's results, from line ${line} on. HINT: --overwrite replaces it`,
      )
    if (result.custom_id !== null) this.doneIds.add(result.custom_id)
    else if (result.error !== null) this.doneLines.add(result.error.line)
  }
}

function open(path: string, overwrite: boolean): number {
  try {
    return openSync(path, overwrite ? "w+" : "a+")
  } catch (error) {
    throw new ConfigError(`cannot write ${path}: ${(error as Error).message}`)
  }
}

function parseResult(text: string): BatchResult | null {
  try {
    const value = JSON.parse(text) as BatchResult | null
    if (typeof value !== "object" || value === null) return null
    const { custom_id, error } = value
    if (typeof custom_id === "string") return value
    return custom_id === null && typeof error?.line === "number" ? value : null
  } catch {
    return null
  }
}
