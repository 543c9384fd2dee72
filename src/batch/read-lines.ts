import { createReadStream, statSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"

export interface Line {
  /** Where bytes are not UTF-8, with U+FFFD in their place. */
  readonly text: string
  /** From 1. */
  readonly number: number
  /** Where the first byte that is not UTF-8 lies in the line, from 1; null where all are. */
  readonly badByte: number | null
}

const NEWLINE = 10
const BYTE_ORDER_MARK = "\ufeff"
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The lines of a file ("-" is standard input) that are not blank, one at a time. Errors: `ConfigError`. */
export async function* readLines(path: string): AsyncGenerator<Line, void, void> {
  let number = 0
  for await (const bytes of splitLines(path)) {
    number += 1
    const line = decode(bytes, number)
    if (line.text.trim() !== "") yield line
  }
}

async function* splitLines(path: string): AsyncGenerator<Uint8Array, void, void> {
  const stream = path === "-" ? process.stdin : createReadStream(path)
  let begun: Uint8Array[] = []
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      let start = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        yield Buffer.concat([...begun, chunk.subarray(start, end)])
        begun = []
        start = end + 1
      }
      if (start < chunk.length) begun.push(chunk.subarray(start))
    }
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
  if (begun.length > 0) yield Buffer.concat(begun)
}

/** Each line by itself: one that is damaged must not damage the others. */
function decode(bytes: Uint8Array, number: number): Line {
  const withoutMark = (text: string) => (number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text)
  try {
    return { text: withoutMark(strict.decode(bytes)), number, badByte: null }
  } catch {
    const text = Buffer.from(bytes).toString("utf8")
    const again = Buffer.from(text)
    return { text: withoutMark(text), number, badByte: bytes.findIndex((byte, i) => byte !== again[i]) + 1 }
  }
}

/** How many lines there are to come; null where they can be read only once. Errors: `ConfigError`. */
export async function countLines(path: string): Promise<number | null> {
  if (path === "-" || !isFile(path)) return null
  let count = 0
  for await (const _ of readLines(path)) count += 1
  return count
}

/** False for pipes and the like. Errors: `ConfigError`. */
function isFile(path: string): boolean {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) throw new Error("a directory, not a file")
    return stat.isFile()
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
