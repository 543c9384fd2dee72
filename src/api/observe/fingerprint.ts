import { createHash } from "node:crypto"
import type { ModelInfo } from "../../engine/engine-client.ts"

/** `system_fingerprint`: the same for the same program serving the same model in the same way. */
export function systemFingerprint(version: string, model: ModelInfo): string {
  const { servedNames, root, maxModelLen, vocabSize, generationDefaults } = model
  const facts = JSON.stringify({ servedNames, root, maxModelLen, vocabSize, generationDefaults })
  return `baozi-${version}-${createHash("sha256").update(facts).digest("hex").slice(0, 8)}`
}
