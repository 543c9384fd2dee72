/** Texts of a given number of tokens, by a tokenizer of ours or by the server's own. */
import { ConfigError } from "../../base/errors.ts"
import type { Prng } from "../../base/prng.ts"
import { randomTokens } from "../datasets.ts"

export interface TextCodec {
  encode(text: string): Promise<readonly number[]>
  decode(ids: readonly number[]): Promise<string>
}

const TRIES = 10

/**
 * A text that encodes to as many tokens as `ids`, or nearly so: random ids join to other tokens when they are text.
 * Source: what `vllm bench serve` does with random prompts.
 */
export async function fitText(
  ids: readonly number[], codec: TextCodec, tokens: readonly number[], prng: Prng,
): Promise<{ text: string; numTokens: number }> {
  let wanted = ids
  for (let tries = 0; ; tries++) {
    const text = await codec.decode(wanted)
    const got = await codec.encode(text)
    if (got.length === ids.length || tries === TRIES) return { text, numTokens: got.length }
    wanted = got.length > ids.length
      ? got.slice(0, ids.length)
      : [...got, ...randomTokens(ids.length - got.length, tokens, prng)]
  }
}

/**
 * The server's own: /tokenize and /detokenize as vLLM and Baozi have them ("prompt") and llama.cpp ("content").
 * Errors: `ConfigError` where it has none.
 */
export async function serverCodec(
  baseUrl: string, model: string, headers: Readonly<Record<string, string>>,
): Promise<TextCodec> {
  const post = async (path: string, body: unknown): Promise<Record<string, unknown> | null> => {
    const response = await fetch(`${baseUrl}${path}`, {
      method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body),
    })
    return response.ok ? ((await response.json()) as Record<string, unknown>) : null
  }
  for (const field of ["prompt", "content"]) {
    const encode = async (text: string) => {
      const answer = await post("/tokenize", { model, [field]: text, add_special_tokens: false, add_special: false })
      return Array.isArray(answer?.["tokens"]) ? (answer["tokens"] as number[]) : []
    }
    if ((await encode("one two three")).length === 0) continue
    const decode = async (tokens: readonly number[]) =>
      String((await post("/detokenize", { model, tokens }))?.[field] ?? "")
    return { encode, decode }
  }
  throw new ConfigError("this server has no /tokenize to fit prompts with; give --tokenizer")
}
