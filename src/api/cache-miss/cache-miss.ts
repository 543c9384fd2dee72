/**
 * Where a prompt's miss of the prefix cache began: at which token and message it first differs from the best of the
 * prompts before it. Told in the answer on request, and in the debug log.
 *
 * Compared are prompts of the same API key and the same cache salt only: the place of a difference in anybody else's
 * prompt would give it away token by token.
 */
import { RequestError } from "../../base/errors.ts"
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { ApiContext } from "../context.ts"
import type { PromptRun } from "../plan/generation.ts"
import type { Prompt } from "../plan/prompt.ts"
import type { CacheMiss } from "../schema/cache-miss.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"
import type { PrefixHistory } from "./prefix-history.ts"

/** Tokens of either prompt that are shown from the difference on. */
const NUM_SHOWN = 16

type Difference = Omit<CacheMiss, "cached_tokens">

/** Of runs whose request asks for it. */
const differences = new WeakMap<PromptRun, Difference>()

/** Whether a request's prompts are compared with those before them, which takes time. */
export function comparesPrompts(
  { logsCacheMisses }: ApiContext["options"], fields: Pick<SamplingFields, "return_cache_miss">,
): boolean {
  return logsCacheMisses || (fields.return_cache_miss ?? false)
}

export interface CacheWatch {
  /** Hears every output of a run. */
  onOutput(promptIdx: number, output: ChoiceOutput): void
}

/**
 * Looks the prompts up in the history before they are run, and adds them to it as they are.
 *
 * Errors: `RequestError` where the request asks for the report and has several prompts.
 */
export function watchCache(
  { client, options, prefixHistory }: ApiContext, fields: Pick<SamplingFields, "return_cache_miss" | "cache_salt">,
  owner: string, id: string, runs: readonly PromptRun[],
): CacheWatch {
  const group = JSON.stringify([owner, fields.cache_salt ?? null])
  const isAsked = fields.return_cache_miss ?? false
  if (isAsked && runs.length > 1) {
    const message = `return_cache_miss tells of one prompt, and this request has ${runs.length}.`
    throw new RequestError(message, { param: "return_cache_miss" })
  }
  const found = runs.map(({ prompt }) => {
    return comparesPrompts(options, fields) ? difference(prefixHistory, group, prompt, client.tokenizer) : null
  })
  if (isAsked && found[0]) differences.set(runs[0]!, found[0])
  const answers = new Map<string, number[]>()
  return {
    onOutput: (promptIdx, output) => {
      const { tokenIds } = runs[promptIdx]!.prompt
      const choice = `${promptIdx}.${output.index}`
      const known = answers.get(choice)
      const answer = known ?? []
      for (const tokenId of output.tokenIds) answer.push(tokenId)
      if (output.finishReason === null) {
        answers.set(choice, answer)
        if (known === undefined && output.index === 0) prefixHistory.add(group, tokenIds)
        return
      }
      answers.delete(choice)
      prefixHistory.add(group, tokenIds.concat(answer))
      const miss = output.index === 0 ? (found[promptIdx] ?? null) : null
      if (miss === null || !options.logsCacheMisses) return
      const { token, message } = miss
      const cached_tokens = output.numCachedTokens
      options.log.debug("first difference to the best cached prefix", { id, token, message, cached_tokens })
    },
  }
}

function difference(history: PrefixHistory, group: string, prompt: Prompt, tokenizer: Tokenizer): Difference {
  const { tokenIds } = prompt
  const best = history.best(group, tokenIds)
  const token = best?.numMatched ?? 0
  if (token === tokenIds.length) return { token: null, message: null, earlier: null, now: null }
  const shown = (ids: ArrayLike<number>) => tokenizer.decode(Array.from(ids))
  return {
    token,
    message: messageAt(prompt, tokenizer.decode(tokenIds.slice(0, token + 1)).length),
    earlier: best === null ? null : shown(best.tokenIds.subarray(token, token + NUM_SHOWN)),
    now: shown(tokenIds.slice(token, token + NUM_SHOWN)),
  }
}

/** The message in which the token is that ends at `end`, in UTF-16 units of the prompt. */
function messageAt({ messageStarts }: Prompt, end: number): number | null {
  return messageStarts?.findLast(({ offset }) => offset < end)?.index ?? null
}

/** `cache_miss` of the answer to a run; empty where it was not asked for. */
export function cacheMissField(run: PromptRun, numCachedTokens: number): { cache_miss?: CacheMiss } {
  const found = differences.get(run)
  return found === undefined ? {} : { cache_miss: { ...found, cached_tokens: numCachedTokens } }
}
