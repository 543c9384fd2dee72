import { describe, expect, test } from "bun:test"
import { parseBatchLine } from "../../../src/batch/batch-request.ts"

const parse = (text: string, number: number, badByte: number | null = null) =>
  parseBatchLine({ text, number, badByte })

const line = (overrides: Record<string, unknown>) =>
  JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/completions", body: { prompt: "hi" }, ...overrides })

test("a line is a request; the method may be left out", () => {
  const request = { lineNumber: 7, customId: "a", url: "/v1/completions", body: { prompt: "hi" } }
  expect(parse(line({}), 7)).toEqual({ request })
  expect(parse(line({ method: undefined }), 7)).toEqual({ request })
})

test("a seed of 64 bits stays what it is", () => {
  const text = '{"custom_id":"a","url":"/v1/completions","body":{"seed":9223372036854775807,"temperature":0.5}}'
  const parsed = parse(text, 1)
  const body = "request" in parsed ? JSON.stringify(parsed.request.body) : null
  expect(body).toBe('{"seed":9223372036854775807,"temperature":0.5}')
})

describe("refused, with the line's number:", () => {
  test.each<[string, string | null, string]>([
    ["{", null, "not JSON"],
    ["[]", null, "not a JSON object"],
    [line({ custom_id: undefined }), null, "custom_id must be a string"],
    [line({ custom_id: "" }), null, "custom_id must be a string"],
    [line({ method: "GET" }), "a", 'method must be "POST", got "GET"'],
    [line({ url: "https://elsewhere/v1/completions" }), "a", 'url must be a path such as "/v1/chat/completions"'],
    [line({ url: "/v1/completions?x=1" }), "a", "url must be a path"],
    [line({ url: undefined }), "a", "got nothing"],
    [line({ body: "x" }), "a", "body must be an object"],
    [line({ body: { stream: true } }), "a", "body.stream must not be true"],
  ])("%s", (text, customId, words) => {
    const parsed = parse(text, 3)
    expect(parsed).toEqual({
      customId, error: { code: "invalid_line", line: 3, message: expect.stringContaining(words) },
    })
  })
})

test("a line with a bad byte is refused under its name, unless that is what is damaged", () => {
  const refused = (customId: string | null) =>
    ({ customId, error: { code: "invalid_line", line: 3, message: "line 3: not UTF-8: byte 9" } }) as const
  expect(parse(line({ body: { prompt: "\ufffd" } }), 3, 9)).toEqual(refused("a"))
  expect(parse(line({ custom_id: "a\ufffd" }), 3, 9)).toEqual(refused(null))
  expect(parse("{\ufffd", 3, 9)).toEqual(refused(null))
  expect(parse("\ufffd", 3, 9)).toEqual(refused(null))
  expect(parse("{}", 3, 9)).toEqual(refused(null))
})
