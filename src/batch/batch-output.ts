/**
 * The file that a batch's results go to, a line each, in the order in which they come.
 *
 * Lines are written in order, so that a run which is killed leaves whole lines and at most the beginning of one more. A
 * later run cuts that off, reads which requests are done, and adds what is missing.
 */
import { closeSync, ftruncateSync, fstatSync, openSync, readSync, statSync, type Stats } from "node:fs"
import { DescriptorWriter } from "../base/descriptor-writer.ts"
import { ConfigError } from "../base/errors.ts"
import type { LineError } from "./batch-request.ts"

const CHUNK_BYTES = 1 << 20
const NEWLINE = 10
const STDOUT = 1
const CLOSE_GRACE_MS = 1000

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
  readonly #writer: DescriptorWriter
  #failure: NodeJS.ErrnoException | null = null

  /**
   * "-" is standard output. Nothing can be read back from it, nor from a pipe or a terminal, whatever its path.
   * Errors: `ConfigError`.
   */
  constructor(path: string, { overwrite }: { overwrite: boolean }) {
    this.#fd = path === "-" ? STDOUT : open(path, overwrite)
    this.#writer = new DescriptorWriter(this.#fd, {
      maxBytes: Infinity,
      onError: (error) => (this.#failure = error),
    })
    if (path === "-" || !fstatSync(this.#fd).isFile()) return
    const endOfLines = this.#readDone(path)
    if (fstatSync(this.#fd).size > endOfLines) ftruncateSync(this.#fd, endOfLines)
  }

  /** Resolves when the line is written, which a slow reader may delay. Errors: the system's. */
  async write(result: BatchResult): Promise<void> {
    this.#writer.write(`${JSON.stringify(result)}\n`)
    await this.#writer.flush()
    if (this.#failure !== null) throw this.#failure
  }

  /** A line that its reader does not take is left behind. */
  async close(): Promise<void> {
    await this.#writer.flush(CLOSE_GRACE_MS)
    if (this.#fd !== STDOUT && this.#writer.isIdle) closeSync(this.#fd)
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
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined || stat.isFile()) return openSync(path, overwrite ? "w+" : "a+")
    // /dev/stdout may be a socket, which no path opens. A pipe that is opened for reading too never lacks a reader.
    return isStdout(stat) ? STDOUT : openSync(path, "w")
  } catch (error) {
    throw new ConfigError(`cannot write ${path}: ${(error as Error).message}`)
  }
}

function isStdout({ dev, ino }: Stats): boolean {
  const own = fstatSync(STDOUT)
  return own.dev === dev && own.ino === ino
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
