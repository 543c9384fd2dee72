import { describe, expect, test } from "bun:test"
import { makeLog, type LogOptions } from "../../../src/base/log.ts"

function lines(options: Partial<LogOptions>, use: (log: ReturnType<typeof makeLog>) => void): string {
  let out = ""
  use(makeLog({ now: () => new Date(0), write: (line) => (out += line), ...options }))
  return out
}

describe("log", () => {
  test("writes the message and its values on one line", () => {
    expect(lines({}, (log) => log.info("ready", { port: 8000, model: "a b", key: null })))
      .toBe('INFO    1970-01-01T00:00:00.000Z ready port=8000 model="a b" key=null\n')
  })

  test("leaves out what is less important than the level", () => {
    const out = lines({ level: "warning" }, (log) => {
      log.debug("1")
      log.info("2")
      log.warning("3")
      log.error("4")
    })
    expect(out.split("\n").map((line) => line.at(-1))).toEqual(["3", "4", undefined])
  })

  test("text from outside can neither start a line nor drive the terminal", () => {
    expect(lines({}, (log) => log.info("a\nERROR b\x1b[2J", { name: "\u009b0m" })))
      .toBe('INFO    1970-01-01T00:00:00.000Z a\\x0aERROR b\\x1b[2J name=\\x9b0m\n')
  })

  test("says how many lines were dropped as soon as one is written again", () => {
    let isRead = true
    const seen: unknown[] = []
    const told = ({ message, numDropped }: Record<string, unknown>) => (numDropped === undefined ? message : numDropped)
    const log = makeLog({
      json: true,
      write: (text) => isRead && seen.push(...text.trim().split("\n").map((line) => told(JSON.parse(line)))) > 0,
    })
    log.info("a")
    isRead = false
    for (const message of ["b", "c", "d"]) log.info(message)
    isRead = true
    log.info("e")
    log.info("f")
    expect(seen).toEqual(["a", 3, "e", "f"])
  })

  test.each([..."\u007f\u0085\u009b\u009f\u2028\u2029\u202e\u2066\ufeff"])("no form lets %j through", (char) => {
    const say = (log: ReturnType<typeof makeLog>) =>
      log.info(`a${char}b`, { bare: `a${char}b`, quoted: `a ${char} b`, [`name`]: char })
    for (const json of [false, true]) expect(lines({ json }, say).trimEnd()).toMatch(/^[\x20-\x7e]+$/)
    expect(JSON.parse(lines({ json: true }, say))).toMatchObject({ message: `a${char}b`, quoted: `a ${char} b` })
  })

  test("JSON lines parse to what was said", () => {
    const out = lines({ json: true }, (log) => log.error("no\nroom", { bytes: 3 }))
    expect(JSON.parse(out)).toEqual({ time: "1970-01-01T00:00:00.000Z", level: "error", message: "no\nroom", bytes: 3 })
    expect(out.trimEnd()).not.toContain("\n")
  })
})
