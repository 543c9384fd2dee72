import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { ConfigError, isOperational, NativeError, RequestError } from "../../../src/base/errors.ts"

function caught(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

test("what flags, files and the machine do is operational; our mistakes are not", () => {
  const operational = [
    new ConfigError("x"), new NativeError("op", 1, "x"), caught(() => readFileSync("/nowhere/at/all")),
    caught(() => readFileSync("/")),
  ]
  expect(operational.map(isOperational)).toEqual([true, true, true, true])
  const mistakes = [
    new Error("x"), new TypeError("x"), new RequestError("x"), caught(() => JSON.parse("{")),
    Object.assign(new Error("x"), { code: "x" }), "EPIPE", null, undefined, { code: "EPIPE", syscall: "write" },
  ]
  expect(mistakes.map(isOperational)).toEqual(mistakes.map(() => false))
})
