/** One random request, and what its client does while it is answered. */
import type { Prng } from "../../src/base/prng.ts"
import { drawFieldsAtBounds } from "../tools/bounds.ts"

export type Behaviour = "reads" | "leaves at once" | "leaves while it reads" | "reads slowly" | "comes back"

export interface RandomRequest {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly behaviour: Behaviour
}

const VOCAB_SIZE = 512
const WORDS = ["the", "quick", " brown", "é", "😀", "\n", "fox ", "0", " ", "jumps"]

export function drawRequest(prng: Prng): RandomRequest {
  return prng.chance(0.75) ? drawOpenAi(prng) : prng.pick([drawBatch, drawMessage, drawResponse])(prng)
}

function drawOpenAi(prng: Prng): RandomRequest {
  const isChat = prng.chance(0.4)
  const stream = prng.chance(0.6)
  const behaviour = drawBehaviour(prng, stream)
  const atBounds = prng.chance(0.2) ? drawFieldsAtBounds(prng) : {}
  const body = { ...(isChat ? drawChat(prng) : drawCompletion(prng)), ...drawSampling(prng), ...atBounds, stream }
  const options = { include_usage: prng.chance(0.5), resumable: behaviour === "comes back" }
  const isBroken = prng.chance(0.05)
  const own = isChat ? "/v1/chat/completions" : "/v1/completions"
  return {
    path: prng.chance(0.1) ? "/invocations" : own,
    body: { ...body, ...(stream ? { stream_options: options } : {}), ...(isBroken ? drawMistake(prng) : {}) },
    behaviour,
  }
}

function drawBatch(prng: Prng): RandomRequest {
  const { n: _n, ...sampling } = drawSampling(prng)
  const messages = Array.from({ length: prng.int(1, 4) }, () => drawMessages(prng))
  return {
    path: "/v1/chat/completions/batch", body: { ...sampling, messages }, behaviour: drawBehaviour(prng, false, false),
  }
}

function drawMessage(prng: Prng): RandomRequest {
  const { temperature, max_tokens, top_p = null, top_k = null, stop: stop_sequences = null } = drawSampling(prng)
  const stream = prng.chance(0.6)
  const body = { messages: drawMessages(prng), temperature, max_tokens, top_p, top_k, stop_sequences, stream }
  return { path: "/v1/messages", body, behaviour: drawBehaviour(prng, stream, false) }
}

/** Stored or not, and in the background or not, which goes on when its client has left. */
function drawResponse(prng: Prng): RandomRequest {
  const { temperature, max_tokens: max_output_tokens, top_p = null, ignore_eos } = drawSampling(prng)
  const stream = prng.chance(0.6)
  const store = prng.chance(0.7)
  const body = {
    input: prng.pick<unknown>([drawText(prng, 20), drawMessages(prng)]), temperature, max_output_tokens, top_p, ignore_eos,
    stream, store, background: store && prng.chance(0.3),
  }
  return { path: "/v1/responses", body, behaviour: drawBehaviour(prng, stream, false) }
}

function drawBehaviour(prng: Prng, stream: boolean, isResumable = true): Behaviour {
  if (prng.chance(0.15)) return "leaves at once"
  if (!stream) return "reads"
  const behaviour = prng.pick<Behaviour>(
    ["reads", "reads", "reads", "leaves while it reads", "reads slowly", "comes back"])
  return behaviour === "comes back" && !isResumable ? "reads" : behaviour
}

function drawText(prng: Prng, maxWords: number): string {
  return Array.from({ length: prng.int(1, maxWords) }, () => prng.pick(WORDS)).join("")
}

function drawCompletion(prng: Prng): Record<string, unknown> {
  const ids = () => Array.from({ length: prng.int(1, prng.pick([8, 60, 300])) }, () => prng.int(3, VOCAB_SIZE - 1))
  const prompt = prng.pick<() => unknown>([
    () => drawText(prng, 40), ids, () => [drawText(prng, 10), drawText(prng, 10)], () => [ids(), ids(), ids()],
  ])()
  const hasLogprobs = prng.chance(0.3)
  return { prompt, ...(hasLogprobs ? { logprobs: prng.int(0, 5) } : { echo: prng.chance(0.2) }) }
}

function drawMessages(prng: Prng): object[] {
  return Array.from({ length: prng.int(1, 4) }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant", content: drawText(prng, 20),
  }))
}

function drawChat(prng: Prng): Record<string, unknown> {
  return { messages: drawMessages(prng), ...(prng.chance(0.3) ? { logprobs: true, top_logprobs: prng.int(0, 5) } : {}) }
}

function drawSampling(prng: Prng): Record<string, unknown> {
  const temperature = prng.pick([0, 0.3, 1, 1.8])
  const fields: Record<string, unknown> = {
    temperature,
    max_tokens: prng.int(1, prng.pick([4, 40, 200])),
    n: temperature > 0 && prng.chance(0.2) ? prng.int(2, 5) : 1,
    ignore_eos: prng.chance(0.5),
  }
  const maybe = (chance: number, field: string, value: () => unknown) => {
    if (prng.chance(chance)) fields[field] = value()
  }
  maybe(0.3, "stop", () => Array.from({ length: prng.int(1, 4) }, () => drawText(prng, 2)))
  maybe(0.2, "include_stop_str_in_output", () => true)
  maybe(0.2, "stop_token_ids", () => [prng.int(0, VOCAB_SIZE - 1), prng.int(0, VOCAB_SIZE - 1)])
  maybe(0.3, "top_p", () => prng.int(1, 100) / 100)
  maybe(0.3, "top_k", () => prng.int(0, 60))
  maybe(0.2, "min_p", () => prng.int(0, 50) / 100)
  maybe(0.2, "presence_penalty", () => prng.int(-20, 20) / 10)
  maybe(0.2, "frequency_penalty", () => prng.int(-20, 20) / 10)
  maybe(0.2, "repetition_penalty", () => prng.int(5, 20) / 10)
  maybe(0.3, "seed", () => prng.uint32())
  maybe(0.2, "logit_bias", () => ({ [prng.int(0, VOCAB_SIZE - 1)]: prng.int(-100, 100) }))
  maybe(0.1, "min_tokens", () => prng.int(0, Number(fields["max_tokens"])))
  maybe(0.1, "bad_words", () => [drawText(prng, 1)].filter((word) => word.trim() !== ""))
  maybe(0.2, "return_token_ids", () => true)
  maybe(0.2, "skip_special_tokens", () => false)
  maybe(0.2, "priority", () => prng.int(-3, 3))
  maybe(0.1, "cache_salt", () => prng.pick(["a", "b"]))
  maybe(0.1, "truncate_prompt_tokens", () => prng.int(1, 20))
  return fields
}

/** Something that must be refused, and leave nothing behind. */
function drawMistake(prng: Prng): Record<string, unknown> {
  return prng.pick<Record<string, unknown>>([
    { temperature: 9 }, { max_tokens: 1e6 }, { stop: [""] }, { model: "nobody" }, { n: 0 },
    { logit_bias: { "9999": 1 } },
    { prompt: Array(600).fill(5), messages: [] }, { stream_options: 3 },
  ])
}
