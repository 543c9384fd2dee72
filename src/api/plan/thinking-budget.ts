import { RequestError } from "../../base/errors.ts"
import type { ThinkingBudget } from "../../core/sampling-params.ts"
import type { ModelInfo } from "../../engine/engine-client.ts"

/**
 * A request's `thinking_token_budget`; null and -1 set none.
 *
 * Errors: `RequestError` for a negative one, and where nobody has said how the model's reasoning is marked.
 */
export function thinkingBudget(tokens: number | null, model: ModelInfo): ThinkingBudget | null {
  const param = "thinking_token_budget"
  if (tokens === null || tokens === -1) return null
  if (tokens < -1) throw new RequestError(`${param} must be at least 0, or -1 for none, got ${tokens}.`, { param })
  if (model.reasoning === null) {
    throw new RequestError(
      `${param} needs to know what marks the model's reasoning: start the server with --reasoning-config.`,
      { param },
    )
  }
  const { startIds, endIds, forcedEndIds } = model.reasoning
  return {
    maxTokens: tokens, unmarkedStart: null,
    startIds: [...startIds], endIds: [...endIds], forcedEndIds: [...forcedEndIds],
  }
}
