import { unreachable } from "../../base/assert.ts"
import type { AttentionPolicy } from "./attention-policy.ts"
import { crossAttentionPolicy, fullAttentionPolicy } from "./full-attention.ts"
import type { KVCacheSpec } from "./kv-spec.ts"
import { slidingWindowPolicy } from "./sliding-window.ts"
import { statePolicy } from "./state-snapshots.ts"

export function policyOf(spec: KVCacheSpec): AttentionPolicy {
  switch (spec.kind) {
    case "full":
    case "mla":
      return fullAttentionPolicy(spec)
    case "sliding_window":
      return slidingWindowPolicy(spec)
    case "state":
      return statePolicy()
    case "cross":
      return crossAttentionPolicy(spec)
    default:
      return unreachable(spec)
  }
}
