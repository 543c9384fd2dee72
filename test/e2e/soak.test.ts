/** A few hundred random requests with clients of all kinds; `make soak` plays ten thousand. */
import { expect, test } from "bun:test"
import { fixture } from "../fixtures.ts"
import { SOAK_FLAGS } from "../soak/flags.ts"
import { soak } from "../soak/soak.ts"
import { serving } from "./serving.ts"

const { skip, server } = serving(fixture("models/llama"), SOAK_FLAGS)

test.skipIf(skip)("nothing is left of requests, however their clients behave", async () => {
  const { url, pid } = server()
  const report = await soak({ url, pid, count: 300, seed: 1, seconds: 60 })
  console.log(JSON.stringify(report))
  expect(report.requests).toBeGreaterThan(50)
  for (const outcome of ["200", "400", "left", "resumed"]) expect(report.byStatus[outcome], outcome).toBeGreaterThan(0)
}, 150_000)
