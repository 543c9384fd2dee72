import { unreachable } from "../../base/assert.ts"
import type { AttentionPolicy } from "./attention-policy.ts"
import { fullAttentionPolicy } from "./full-attention.ts"
import type { KVCacheSpec } from "./kv-spec.ts"
import { slidingWindowPolicy } from "./sliding-window.ts"

export function policyOf(spec: KVCacheSpec): AttentionPolicy {
  switch (spec.kind) {
    case "full":
      return fullAttentionPolicy(spec)
    case "sliding_window":
      return slidingWindowPolicy(spec)
    default:
      return unreachable(spec)
  }
}
