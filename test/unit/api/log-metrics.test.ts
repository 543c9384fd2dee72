import { expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

test("/metrics counts the lines that are missing from the log", async () => {
  let numDropped = 0
  const api = makeApi({ api: { numDroppedLogLines: () => numDropped } })
  const counted = async () => {
    const { text } = await api.send("GET", "/metrics")
    expect(text).toContain("# TYPE baozi:log_lines_dropped_total counter\n")
    return /^baozi:log_lines_dropped_total (\S+)$/m.exec(text)?.[1]
  }
  expect(await counted()).toBe("0.0")
  numDropped = 7
  expect(await counted()).toBe("7.0")
})
