import { ConfigError } from "../../base/errors.ts"
import type { SchedulerConfig } from "../scheduler-config.ts"
import { AdapterLimit } from "./adapter-limit.ts"
import { LongPrefillLimit, PromptBudget, TokenBudget } from "./budgets.ts"
import { EncoderBudget } from "./encoder-budget.ts"
import { StateAlignment } from "./state-alignment.ts"
import type { StepConstraint } from "./step-constraint.ts"

/** What the KV cache demands of steps: where the model keeps a state, the block size of its group; else null. */
export interface StateBlocks {
  readonly blockSize: number
  readonly keepsSnapshots: boolean
}

/** The constraints of a configuration, in the order in which they clip. Throws ConfigError. */
export function makeConstraints(config: SchedulerConfig, state: StateBlocks | null): StepConstraint[] {
  const { longPrefillTokenThreshold, maxLoras, maxNumEncoderInputTokens } = config
  const chunk = state?.keepsSnapshots === true ? state.blockSize : 1
  if (chunk > 1) checkChunk(config, chunk)
  return [
    ...(longPrefillTokenThreshold > 0 ? [new LongPrefillLimit(config)] : []),
    new TokenBudget(config),
    new PromptBudget(config, chunk),
    ...(maxNumEncoderInputTokens > 0 ? [new EncoderBudget(maxNumEncoderInputTokens)] : []),
    ...(state !== null ? [new StateAlignment(state.blockSize, state.keepsSnapshots)] : []),
    ...(maxLoras > 0 ? [new AdapterLimit(maxLoras)] : []),
  ]
}

/** Prompts that are cut at multiples of `chunk` tokens alone must get that many at once, whatever else runs. */
function checkChunk(config: SchedulerConfig, chunk: number): void {
  const { enableChunkedPrefill, longPrefillTokenThreshold, maxNumBatchedTokens, maxNumSeqs } = config
  const cause = `for a model with a state, whose prefixes are cached in blocks of ${chunk} tokens`
  if (!enableChunkedPrefill) throw new ConfigError(`--enable-chunked-prefill is off, but must be on ${cause}`)
  const least = maxNumSeqs - 1 + chunk
  if (maxNumBatchedTokens < least) {
    throw new ConfigError(`--max-num-batched-tokens is ${maxNumBatchedTokens}, but must be at least ${least} ${cause}`)
  }
  if (longPrefillTokenThreshold > 0 && longPrefillTokenThreshold < chunk) {
    const flag = "--long-prefill-token-threshold"
    throw new ConfigError(`${flag} is ${longPrefillTokenThreshold}, but must be 0 or at least ${chunk} ${cause}`)
  }
}
