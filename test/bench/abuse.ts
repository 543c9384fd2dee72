/**
 * How the server feels to others while somebody abuses it: requests that cost as much as one can, one after the other,
 * while a second client asks for /health all the time.
 *
 *     bun test/bench/abuse.ts [--model PATH] [--only WORDS]
 *
 * Writes a table: what was sent, how it was answered, /health's latency meanwhile, the processor time of the thread
 * that answers (which a busy machine does not change), and how far the memory went up, beside what it may: four times
 * the body and 64 MiB. The thread that the first long request starts is measured alone.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { present } from "../../src/base/assert.ts"
import { findDefaultModel } from "../../src/cli/default-model.ts"
import { startServerProcess } from "../e2e/server-process.ts"

const MEMORY_ALLOWANCE = 64 * 2 ** 20
const GOAL_MS = 50

interface Attack {
  readonly name: string
  readonly path: string
  readonly body: () => string
}

const repeated = (item: string, count: number): string => Array(count).fill(item).join(",")
const words = (units: number): string => "lorem ipsum dolor sit amet ".repeat(Math.ceil(units / 27)).slice(0, units)
/** Text that no cache of pieces knows. */
const noise = (units: number, seed: number): string => {
  let state = seed
  const next = (): string => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0).toString(36)
  let text = ""
  while (text.length < units) text += `${next()} `
  return text.slice(0, units)
}
const chat = (content: unknown): object => ({ messages: [{ role: "user", content }], max_tokens: 1 })
const called = (text: string, count = 1): object => ({
  messages: [{ role: "user", content: "hi" }, { role: "assistant", tool_calls: Array.from({ length: count }, (_, i) => (
    { id: `c${i}`, type: "function", function: { name: "f", arguments: text } })) }],
  max_tokens: 1,
})
const tool = (name: string, choices: readonly string[]): object => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { a: { type: "string", enum: choices } } } },
})
const json = (body: object) => (): string => JSON.stringify(body)

const ATTACKS: readonly Attack[] = [
  { name: "a short prompt", path: "/v1/completions", body: json({ prompt: "hi", max_tokens: 1 }) },
  { name: "the first long text", path: "/tokenize", body: () => JSON.stringify({ prompt: words(40_000) }) },
  { name: "9 million objects", path: "/v1/completions", body: () => `{"prompt":[${repeated("{}", 9_000_000)}]}` },
  { name: "as many objects as may be", path: "/v1/completions", body: () => `{"prompt":[${repeated("{}", 130_000)}]}` },
  { name: "2 million token ids", path: "/v1/completions", body: () => `{"prompt":[${repeated("7", 2_000_000)}]}` },
  { name: "20 million numbers", path: "/v1/completions", body: () => `{"prompt":[${repeated("7", 20_000_000)}]}` },
  { name: "brackets", path: "/v1/completions", body: () => "[".repeat(30_000_000) },
  { name: "60 MB of text", path: "/v1/completions", body: () => JSON.stringify({ prompt: words(60_000_000) }) },
  { name: "60 MB in quotes", path: "/v1/completions", body: () => JSON.stringify({ prompt: '"'.repeat(30_000_000) }) },
  { name: "1,000 prompts of 60 kB", path: "/v1/completions",
    body: () => JSON.stringify({ prompt: Array.from({ length: 1000 }, (_, i) => noise(60_000, i)), max_tokens: 1 }) },
  { name: "1,000 prompts of 10 kB", path: "/v1/completions/render",
    body: () => JSON.stringify({ prompt: Array.from({ length: 1000 }, (_, i) => noise(10_000, i)) }) },
  { name: "a message of 30 MB", path: "/v1/chat/completions", body: () => JSON.stringify(chat(words(30_000_000))) },
  { name: "10,000 messages", path: "/v1/chat/completions",
    body: () => JSON.stringify({ messages: Array.from({ length: 10_000 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant", content: `message ${i}`,
    })) }) },
  { name: "a message in 20,000 parts", path: "/v1/chat/completions",
    body: () => JSON.stringify(chat(Array.from({ length: 20_000 }, (_, i) => ({ type: "text", text: `part ${i}` })))) },
  { name: "template variables", path: "/v1/chat/completions",
    body: () => JSON.stringify(chat("hi"))
      .replace("{", `{"chat_template_kwargs":{"a":[${repeated("{}", 120_000)}]},`) },
  { name: "60,000 unknown fields", path: "/v1/completions",
    body: () => JSON.stringify({ ...Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [`k${i}`, i])),
      prompt: "hi", max_tokens: 1 }) },
  { name: "arguments of 1 million objects", path: "/v1/chat/completions",
    body: () => JSON.stringify(called(`{"a":[${repeated("{}", 1_000_000)}]}`)) },
  { name: "arguments of as many objects as may be", path: "/v1/chat/completions",
    body: () => JSON.stringify(called(`{"a":[${repeated("{}", 130_000)}]}`)) },
  { name: "20,000 broken calls", path: "/v1/chat/completions", body: () => JSON.stringify(called("{", 20_000)) },
  { name: "2,000 tools", path: "/v1/chat/completions", body: () => JSON.stringify(
    { ...chat("hi"), tool_choice: "none", tools: Array.from({ length: 2000 }, (_, i) => tool(`f${i}`, ["a"])) }) },
  { name: "a tool with 100,000 choices", path: "/v1/chat/completions", body: () => JSON.stringify(
    { ...chat("hi"), tool_choice: "none", tools: [tool("f", noise(800_000, 1).split(" ").slice(0, 100_000))] }) },
  { name: "a schema with 100,000 choices", path: "/v1/chat/completions", body: () => JSON.stringify(
    { ...chat("hi"), response_format: { type: "json_schema", json_schema: { name: "a", schema: {
      enum: noise(800_000, 1).split(" ").slice(0, 100_000) } } } }) },
  { name: "an expression of 1 MB", path: "/v1/completions",
    body: json({ prompt: "hi", max_tokens: 1, structured_outputs: { regex: "(a|b)*".repeat(170_000) } }) },
  { name: "lists 190 deep", path: "/v1/chat/completions", body: () => JSON.stringify(chat("hi")).replace("{",
    `{"chat_template_kwargs":{"a":[${repeated("[".repeat(188) + "]".repeat(188), 600)}]},`) },
  { name: "a number of 1 million digits", path: "/v1/chat/completions",
    body: () => JSON.stringify(chat("hi")).replace("{", `{"seed":${"9".repeat(1_000_000)},`) },
  { name: "30,000 long numbers", path: "/v1/chat/completions", body: () => JSON.stringify(chat("hi"))
    .replace("{", `{"chat_template_kwargs":{"a":[${repeated("12345678901234567.0", 30_000)}]},`) },
  { name: "100,000 stop strings", path: "/v1/completions",
    body: () => JSON.stringify({ prompt: "hi", max_tokens: 1, stop: Array(100_000).fill("abc") }) },
  { name: "60,000 biases", path: "/v1/completions", body: () => JSON.stringify({ prompt: "hi", max_tokens: 1,
    logit_bias: Object.fromEntries(Array.from({ length: 60_000 }, (_, i) => [i, 1])) }) },
  { name: "2 million stop tokens", path: "/v1/completions",
    body: () => `{"prompt":"hi","max_tokens":1,"stop_token_ids":[${repeated("7", 2_000_000)}]}` },
  { name: "60,000 fields of one name", path: "/v1/completions",
    body: () => `{${repeated('"prompt":"hi"', 60_000)},"max_tokens":1}` },
  { name: "60 MB of escapes", path: "/v1/completions", body: () => `{"prompt":"${"\\u0041".repeat(10_000_000)}"}` },
  { name: "60 MB of backslashes", path: "/v1/completions", body: () => `{"prompt":"${"\\\\".repeat(15_000_000)}"}` },
  { name: "30,000 items of input", path: "/v1/responses", body: () => JSON.stringify(
    { input: Array.from({ length: 30_000 }, () => ({ role: "user", content: "hi" })), max_output_tokens: 1 }) },
  { name: "a response cut to fit", path: "/v1/responses", body: () => JSON.stringify({ truncation: "auto",
    input: Array.from({ length: 2000 }, (_, i) => ({ role: "user", content: noise(4000, i) })),
    max_output_tokens: 1 }) },
  { name: "30,000 blocks of a message", path: "/v1/messages", body: () => JSON.stringify(
    chat(Array.from({ length: 30_000 }, () => ({ type: "text", text: "hi" })))) },
  { name: "a count of 30 MB", path: "/v1/messages/count_tokens", body: () => JSON.stringify(chat(words(30_000_000))) },
  { name: "500 conversations of 20 kB", path: "/v1/chat/completions/batch", body: () => JSON.stringify({ max_tokens: 1,
    messages: Array.from({ length: 500 }, (_, i) => [{ role: "user", content: noise(20_000, i) }]) }) },
  { name: "30 MB as tokens", path: "/tokenize", body: () => JSON.stringify({ prompt: words(30_000_000) }) },
  { name: "10 MB as tokens with their texts", path: "/tokenize",
    body: () => JSON.stringify({ prompt: words(10_000_000), return_token_strs: true }) },
  { name: "30 MB cut to 20 tokens", path: "/v1/completions/render",
    body: () => JSON.stringify({ prompt: words(30_000_000), truncate_prompt_tokens: 20 }) },
  { name: "a million tokens as text", path: "/detokenize", body: () => `{"tokens":[${repeated("77", 1_000_000)}]}` },
]

interface Outcome {
  readonly status: number
  readonly seconds: number
  /** Milliseconds of each /health meanwhile, in order of size. */
  readonly latencies: readonly number[]
  /** Milliseconds of processor time of the thread that answers, a bound on how long it answered nobody. */
  readonly mainMs: number
  /** Of the process, in bytes, above what it was before. */
  readonly growth: number
}

/** Asks for /health on a thread of its own until told to stop; then posts what it measured. */
const PROBE = `
  self.onmessage = async ({ data: url }) => {
    let isStopped = false
    self.onmessage = () => { isStopped = true }
    const latencies = []
    while (!isStopped) {
      const start = performance.now()
      await fetch(url + "/health")
      latencies.push(performance.now() - start)
      await Bun.sleep(1)
    }
    self.postMessage(latencies)
  }`

function residentBytes(pid: number): number {
  return Number(present(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1], "VmRSS")) * 1024
}

/** Ticks are hundredths of a second. */
function mainThreadMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function launch(url: string, pid: number, { path }: Attack, body: string): Promise<Outcome> {
  const probe = new Worker(URL.createObjectURL(new Blob([PROBE])))
  probe.postMessage(url)
  await Bun.sleep(200)
  const before = residentBytes(pid)
  let most = before
  const watch = setInterval(() => (most = Math.max(most, residentBytes(pid))), 5)
  const mainBefore = mainThreadMs(pid)
  const start = performance.now()
  const response = await fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body })
  await response.arrayBuffer()
  const seconds = (performance.now() - start) / 1000
  const mainMs = mainThreadMs(pid) - mainBefore
  clearInterval(watch)
  const measured = new Promise<number[]>((resolve) => (probe.onmessage = ({ data }) => resolve(data as number[])))
  probe.postMessage("stop")
  const latencies = (await measured).sort((a, b) => a - b)
  probe.terminate()
  return { status: response.status, seconds, latencies, mainMs, growth: most - before }
}

function row({ name }: Attack, bodyBytes: number, { status, seconds, latencies, mainMs, growth }: Outcome): string {
  const quantile = (share: number): string => latencies[Math.floor(share * (latencies.length - 1))]!.toFixed(1)
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
  const allowed = 4 * bodyBytes + MEMORY_ALLOWANCE
  return `| ${name} | ${(bodyBytes / 1e6).toFixed(1)} | ${status} | ${seconds.toFixed(2)} | ${quantile(0.5)} | ` +
    `${quantile(0.99)} | ${quantile(1)} | ${mainMs} | ${mib(growth)} | ${mib(allowed)} |`
}

const { values } = parseArgs({ options: { model: { type: "string" }, only: { type: "string" } } })
const model = values.model ?? findDefaultModel()
const cwd = mkdtempSync(join(tmpdir(), "baozi-abuse-"))
const executable = resolve(import.meta.dir, "../../dist/baozi")
const server = await startServerProcess([executable, "serve", resolve(model), "--disable-access-log"], {
  cwd, env: { HOME: process.env["HOME"] ?? cwd }, timeoutMs: 120_000,
})
try {
  console.log("| request | MB | status | s | /health p50 ms | p99 | worst | main thread ms | memory MiB | allowed |")
  console.log("|---|---|---|---|---|---|---|---|---|---|")
  let worst = 0
  for (const attack of ATTACKS.filter(({ name }) => name.includes(values.only ?? ""))) {
    const body = attack.body()
    const outcome = await launch(server.url, server.pid, attack, body)
    worst = Math.max(worst, outcome.latencies.at(-1)!)
    console.log(row(attack, Buffer.byteLength(body), outcome))
  }
  console.log(`\n/health took ${worst.toFixed(1)} ms at worst; the goal is ${GOAL_MS} ms on an idle machine.`)
} finally {
  await server.stop()
  rmSync(cwd, { recursive: true })
}
