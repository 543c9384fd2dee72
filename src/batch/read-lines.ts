import { createReadStream, statSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"

export interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/** The lines of a file ("-" is standard input) that are not blank, one at a time. Errors: `ConfigError`. */
export async function* readLines(path: string): AsyncGenerator<Line, void, void> {
  const stream = path === "-" ? process.stdin : createReadStream(path)
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let rest = ""
  let number = 0
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n")
      rest = lines.pop()!
      for (const text of lines) {
        number += 1
        if (text.trim() !== "") yield { text, number }
      }
    }
    rest += decoder.decode()
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
  if (rest.trim() !== "") yield { text: rest, number: number + 1 }
}

/** How many lines there are to come; null where they can be read only once. Errors: `ConfigError`. */
export async function countLines(path: string): Promise<number | null> {
  if (path === "-") return null
  checkFile(path)
  let count = 0
  for await (const _ of readLines(path)) count += 1
  return count
}

function checkFile(path: string): void {
  try {
    if (!statSync(path).isFile()) throw new Error("not a file")
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
