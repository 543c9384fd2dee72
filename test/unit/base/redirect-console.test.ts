import { afterEach, expect, test } from "bun:test"
import { redirectConsole } from "../../../src/base/redirect-console.ts"

const original = { ...console }
afterEach(() => void Object.assign(console, original))

test("what is written with console is lines of the log", () => {
  const lines: string[] = []
  redirectConsole((level, line) => lines.push(`${level}: ${line}`))
  console.log("%s of %d", "one", 2, { a: 1 })
  console.warn("first\nsecond")
  console.error(new RangeError("no").message)
  console.debug()
  console.dir([1])
  expect(lines).toEqual([
    "info: one of 2 { a: 1 }", "warning: first", "warning: second", "error: no", "debug: ", "info: [ 1 ]",
  ])
})
