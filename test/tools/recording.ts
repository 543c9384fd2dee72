/**
 * Sends recorded requests to a server and compares its answers with the recorded ones, field by field: keys, kinds,
 * texts, token ids, finish reasons and usage are equal; log-probabilities are close; ids, times and words of errors are
 * not compared. A stream counts as what a client ends up with, so that chunk boundaries do not matter.
 */
export interface RecordedCase {
  readonly name: string
  readonly path: string
  readonly method?: string
  readonly body?: unknown
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
  /** exact (absent), shape: keys and kinds only; either: a 2xx or a clear 4xx are both right. */
  readonly compare?: "exact" | "shape" | "either"
  readonly answer: Answer
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly json?: unknown
  readonly text?: string
  readonly events?: readonly unknown[]
}

type Json = Readonly<Record<string, unknown>>

const VOLATILE = new Set([
  "id", "created", "created_at", "system_fingerprint", "request_id", "response_id", "item_id", "permission",
  "completed_at", "root", "call_id", "max_model_len", "owned_by", "metrics", "kv_transfer_params", "obfuscation",
])
/** Float sums differ between engines; ranks of near ties too. */
const CLOSE: Readonly<Record<string, number>> = {
  logprob: 2e-2, token_logprobs: 2e-2, top_logprobs: 2e-2, prompt_logprobs: 2e-2, rank: 1,
}
const RELATIVE = 2e-2

/** An answer as it came. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export async function send(url: string, recorded: RecordedCase): Promise<RawAnswer> {
  const body = recorded.raw ?? (recorded.body === undefined ? null : JSON.stringify(recorded.body))
  const headers: Record<string, string> = { ...recorded.headers }
  if (recorded.raw === undefined && recorded.body !== undefined) headers["Content-Type"] ??= "application/json"
  const method = recorded.method ?? "POST"
  const response = await fetch(url + recorded.path, { method, headers, body: method === "GET" ? null : body })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

export function parsed({ status, headers, text }: RawAnswer): Answer {
  const type = (headers.get("content-type") ?? "").split(";")[0]!
  if (type === "text/event-stream") return { status, type, events: parseEvents(text) }
  try {
    return { status, type, json: JSON.parse(text) as unknown }
  } catch {
    return { status, type, text }
  }
}

function parseEvents(text: string): unknown[] {
  const events: unknown[] = []
  for (const block of text.replaceAll("\r\n", "\n").split("\n\n")) {
    const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim())
    if (data.length === 0) continue
    const joined = data.join("\n")
    const value = joined === "[DONE]" ? joined : (JSON.parse(joined) as unknown)
    const name = block.split("\n").find((line) => line.startsWith("event:"))?.slice(6).trim()
    events.push(name === undefined ? value : { event: name, data: value })
  }
  return events
}

/** What differs, one line each; empty when the answers agree. */
export function judge(recorded: RecordedCase, got: Answer): string[] {
  const want = recorded.answer
  if (recorded.compare === "either") return judgeEither(got)
  if (want.status !== got.status)
    return [`status ${want.status} in the reference, ${got.status} here: ${short(got.json ?? got.text)}`]
  if (want.status >= 400) return judgeError(want, got)
  if (want.type !== got.type) return [`content type ${want.type} in the reference, ${got.type} here`]
  const out: string[] = []
  if (want.events !== undefined) {
    const [a, b] = [mergeStream(want.events), mergeStream(got.events ?? [])]
    if (recorded.compare === "shape") diffShape(a, b, "", out)
    else diff(a, b, "", null, out)
  } else if (want.json !== undefined) {
    if (recorded.compare === "shape") diffShape(want.json, got.json, "", out)
    else diff(want.json, got.json, "", null, out)
  }
  return out
}

function judgeEither(got: Answer): string[] {
  if (got.status >= 200 && got.status < 300) return []
  if (got.status >= 500) return [`status ${got.status}`]
  const body = isObject(got.json) ? got.json : {}
  const error = body["error"]
  return (isObject(error) && error["message"]) || "detail" in body ? [] : ["no error object with a message"]
}

function judgeError(want: Answer, got: Answer): string[] {
  const expected = isObject(want.json) ? want.json["error"] : undefined
  if (!isObject(expected)) return []
  const error = isObject(got.json) ? got.json["error"] : undefined
  if (!isObject(error) || !error["message"]) return ["no error object with a message"]
  return ["type", "code"].filter((key) => expected[key] !== error[key])
    .map((key) => `error.${key}: ${short(expected[key])} in the reference, ${short(error[key])} here`)
}

interface MergedChoice {
  text: string
  finishReason: unknown
  roles: unknown[]
  tokenIds: unknown[]
  logprobCount: number
}

function mergeStream(events: readonly unknown[]): Json {
  const names = events.flatMap((event) => (isObject(event) && "data" in event ? [event["event"]] : []))
  // Of named events the order of the names counts, deltas of one kind in a row once.
  if (names.length > 0) return { names: names.filter((name, i) => name !== names[i - 1]) }
  const choices: Record<string, MergedChoice> = {}
  const keys = new Set<string>()
  let usage: unknown = null
  for (const event of events) {
    if (!isObject(event)) continue
    for (const key of Object.keys(event)) keys.add(key)
    usage = event["usage"] ?? usage
    for (const choice of (event["choices"] as Json[] | undefined) ?? []) {
      const merged = (choices[String(choice["index"] ?? 0)] ??= {
        text: "", finishReason: null, roles: [], tokenIds: [], logprobCount: 0,
      })
      mergeChoice(merged, choice)
    }
  }
  for (const key of ["prompt_token_ids", "metrics", "kv_transfer_params"]) keys.delete(key)
  return { choices, usage, done: events.at(-1) === "[DONE]", keys: [...keys].sort() }
}

function mergeChoice(merged: MergedChoice, choice: Json): void {
  const delta = isObject(choice["delta"]) ? choice["delta"] : {}
  merged.text += String(choice["text"] ?? delta["content"] ?? "")
  if (delta["role"]) merged.roles.push(delta["role"])
  merged.tokenIds.push(...((choice["token_ids"] as unknown[] | null) ?? []))
  const logprobs = isObject(choice["logprobs"]) ? choice["logprobs"] : {}
  merged.logprobCount += ((logprobs["content"] ?? logprobs["tokens"] ?? []) as unknown[]).length
  merged.finishReason = choice["finish_reason"] ?? merged.finishReason
}

function diff(want: unknown, got: unknown, path: string, tolerance: number | null, out: string[]): void {
  if (isObject(want) && isObject(got)) return diffObjects(want, got, path, tolerance, out)
  if (Array.isArray(want) && Array.isArray(got)) {
    if (want.length !== got.length) out.push(`${path}: ${want.length} entries in the reference, ${got.length} here`)
    want.slice(0, got.length).forEach((item, i) => diff(item, got[i], `${path}[${i}]`, tolerance, out))
    return
  }
  if (typeof want === "number" && typeof got === "number" && tolerance !== null) {
    const allowed = Math.max(tolerance, RELATIVE * Math.max(Math.abs(want), Math.abs(got)))
    if (Math.abs(want - got) > allowed) out.push(`${path}: ${want} in the reference, ${got} here`)
    return
  }
  if (want !== got) out.push(`${path}: ${short(want)} in the reference, ${short(got)} here`)
}

function diffObjects(want: Json, got: Json, path: string, tolerance: number | null, out: string[]): void {
  for (const [key, value] of Object.entries(want)) {
    if (!(key in got)) {
      if (value !== null) out.push(`${path}.${key}: missing (reference ${short(value)})`)
    } else if (!VOLATILE.has(key)) {
      diff(value, got[key], `${path}.${key}`, CLOSE[key] ?? tolerance, out)
    }
  }
}

function diffShape(want: unknown, got: unknown, path: string, out: string[]): void {
  if (isObject(want) && isObject(got)) {
    for (const [key, value] of Object.entries(want)) {
      if (key in got) diffShape(value, got[key], `${path}.${key}`, out)
      else if (value !== null) out.push(`${path}.${key}: missing (reference ${short(value)})`)
    }
  } else if (Array.isArray(want) && Array.isArray(got)) {
    if (want.length > 0 && got.length === 0) out.push(`${path}: empty`)
    else if (want.length > 0) diffShape(want[0], got[0], `${path}[0]`, out)
  } else if (typeof want !== typeof got) {
    out.push(`${path}: ${short(want)} in the reference, ${short(got)} here`)
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined"
  return text.length < 90 ? text : `${text.slice(0, 87)}...`
}
