import { expect, test } from "bun:test"
import { Prng } from "../../../src/base/prng.ts"
import { StepPacer } from "../../../src/engine/step-pacer.ts"

const DECODES = 16

/** Runs decode steps, then a prompt of `numTokens`, on a machine of these times; the seconds of the prompt's steps. */
function run(
  target: number, machine: { decode: number; perToken: number; noise?: number }, numTokens: number,
): number[] {
  const { decode, perToken, noise = 0 } = machine
  const prng = new Prng(1)
  const pacer = new StepPacer(target)
  const step = (numPromptTokens: number): number => {
    const seconds = (decode + numPromptTokens * perToken) * (1 + noise * (prng.int(0, 1000) / 500 - 1))
    pacer.record({ seconds, numPromptTokens, numDecodes: DECODES })
    return seconds
  }
  for (let i = 0; i < 20; i++) step(0)
  const times: number[] = []
  for (let left = numTokens; left > 0 && times.length < 10_000; ) {
    const taken = Math.min(left, pacer.maxPromptTokens())
    times.push(step(taken))
    left -= taken
  }
  return times
}

test("a prompt fills the time that the target leaves, and no more", () => {
  const times = run(0.1, { decode: 0.02, perToken: 0.0005 }, 1500)
  expect(Math.max(...times)).toBeLessThanOrEqual(0.1 + 1e-9)
  // 160 tokens a step once it has learned.
  expect(times.length).toBeLessThanOrEqual(1 + Math.ceil(1500 / 159))
})

test("on a machine whose times vary the target is missed seldom", () => {
  const times = run(0.1, { decode: 0.02, perToken: 0.0005, noise: 0.2 }, 100_000)
  const missed = times.filter((seconds) => seconds > 0.1).length
  expect(missed / times.length).toBeLessThan(0.2)
  expect(Math.max(...times)).toBeLessThan(0.13)
})

test("where even steps without prompts take too long, prompts go on slowly", () => {
  const times = run(0.1, { decode: 0.2, perToken: 0.0005 }, 160)
  expect(times.length).toBe(9)
})

test("it follows a machine that changes", () => {
  const pacer = new StepPacer(0.1)
  const learn = (perToken: number, times: number) => {
    for (let i = 0; i < times; i++) {
      pacer.record({ seconds: 0.02, numPromptTokens: 0, numDecodes: DECODES })
      pacer.record({ seconds: 0.02 + 100 * perToken, numPromptTokens: 100, numDecodes: DECODES })
    }
    return pacer.maxPromptTokens()
  }
  expect(learn(0.001, 1)).toBe(80)
  expect(learn(0.002, 8)).toBe(40)
  expect(learn(0.001, 60)).toBeGreaterThan(75)
})

test("prompts computed alone teach it too; a few tokens teach it nothing", () => {
  const pacer = new StepPacer(0.1)
  expect(pacer.maxPromptTokens()).toBe(32)
  pacer.record({ seconds: 1, numPromptTokens: 3, numDecodes: 1 })
  expect(pacer.maxPromptTokens()).toBe(32)
  pacer.record({ seconds: 0.5, numPromptTokens: 500, numDecodes: 0 })
  expect(pacer.maxPromptTokens()).toBe(100)
})
