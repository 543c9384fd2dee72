/** Sampling fields of a request, drawn at and around their bounds and those of the types that they are stored in. */
import type { Prng } from "../../src/base/prng.ts"

const SMALLEST = 2 ** -149
const LARGEST = (2 - 2 ** -23) * 2 ** 127

/** Numbers that some type holds and another does not. */
const EXTREMES: readonly number[] = [
  0, -0, 1, -1, 0.5, 5e-324, 1e-60, SMALLEST / 2, SMALLEST, 2 ** -126, 1e-38, 1e-10, 1e38, LARGEST, LARGEST * 1.0000001,
  1e60, Number.MAX_VALUE, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 63 - 1024,
  2 ** 63, 2 ** 64, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53), -(2 ** 63), -Number.MAX_VALUE, -5e-324,
]

/** Integers as text: what a double cannot hold. */
const LARGE_SEEDS: readonly string[] = [
  "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9007199254740993",
  "18446744073709551615", "18446744073709551616",
]

/** A field's own bounds, with what lies around them. `drawn` more than once is more likely. */
const NEAR: Readonly<Record<string, readonly number[]>> = {
  temperature: [0, 5e-324, 9.99e-6, 1e-5, 0.0099, 0.01, 1, 2, 2.0000001],
  top_p: [SMALLEST, 1e-7, 0.5, 1 - 2 ** -24, 1 - 2 ** -53, 1, 1 + 2 ** -52],
  top_k: [-2, -1, 0, 1, 511, 512, 513, 2 ** 31 - 1],
  min_p: [0, SMALLEST, 1e-30, 0.5, 1, 1 + 2 ** -52],
  presence_penalty: [-2, 2, SMALLEST, -2.0000001],
  frequency_penalty: [-2, 2, SMALLEST, 2.0000001],
  repetition_penalty: [SMALLEST, 2 ** -126, 1e-20, 0.1, 1, 1 + 2 ** -23, 1e20, LARGEST],
  seed: [-1, 0, 2 ** 53 - 1],
  n: [0, 1, 2, 3, 16385],
  max_tokens: [0, 1, 6, 480, 512, 513],
  min_tokens: [0, 1, 6, 7],
  logprobs: [0, 1, 20, 21],
  prompt_logprobs: [-1, 0, 1, 20, 21],
  stream_interval: [0, 1, 2 ** 31],
  priority: [-3, 3],
  truncate_prompt_tokens: [-1, 0, 1, 511, 512],
  thinking_token_budget: [-1, 0, 1],
  length_penalty: [0, 1],
}

const TOKEN_IDS: readonly number[] = [0, 1, 2, 5, 511, 512, -1, 2 ** 31, 2 ** 32 + 5, 2 ** 53]

/** Fields of the completions API for a model of 512 tokens and as many positions; most requests are accepted. */
export function drawFieldsAtBounds(prng: Prng): Record<string, unknown> {
  const fields: Record<string, unknown> = { max_tokens: 6, temperature: prng.pick([0, 1]) }
  for (let count = prng.int(1, 6); count > 0; count--) {
    const name = prng.pick([...Object.keys(NEAR), ...Object.keys(LISTS)])
    const list = LISTS[name]
    fields[name] = list === undefined ? drawNumber(prng, NEAR[name]!) : list(prng)
  }
  if (prng.chance(0.1)) fields["seed"] = prng.pick(LARGE_SEEDS)
  if (prng.chance(0.05)) fields["use_beam_search"] = true
  if (prng.chance(0.3)) fields["ignore_eos"] = true
  return fields
}

function drawNumber(prng: Prng, near: readonly number[]): number {
  return prng.chance(0.8) ? prng.pick(near) : prng.pick(EXTREMES)
}

/** Most ids are tokens. */
function drawIds(prng: Prng): number[] {
  const ids = prng.chance(0.8) ? TOKEN_IDS.slice(0, 5) : TOKEN_IDS
  return Array.from({ length: prng.int(1, 4) }, () => prng.pick(ids))
}

const LISTS: Readonly<Record<string, (prng: Prng) => unknown>> = {
  logit_bias: (prng) => Object.fromEntries(drawIds(prng).map((id) => [id, prng.pick([...EXTREMES, -100, 100])])),
  allowed_token_ids: (prng) => (prng.chance(0.1) ? Array.from({ length: 2000 }, (_, i) => i % 512) : drawIds(prng)),
  stop_token_ids: drawIds,
  logprob_token_ids: drawIds,
  bad_words: (prng) => prng.pick([["a"], ["the quick", " "], Array.from({ length: 70 }, (_, i) => `w${i}`)]),
  repetition_detection: (prng) => ({
    max_pattern_size: drawNumber(prng, [0, 1, 3]), min_pattern_size: drawNumber(prng, [0, 1]),
    min_count: drawNumber(prng, [0, 2]),
  }),
}
