import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import { llama } from "./llama.ts"
import { mistral } from "./mistral.ts"
import { qwen2 } from "./qwen2.ts"
import { qwen3 } from "./qwen3.ts"

/** Every architecture this executable knows: one line each. */
export const ARCHITECTURES: readonly Architecture[] = [llama, mistral, qwen2, qwen3]

/** Errors: `ConfigError` naming the architectures there are. */
export function findArchitecture(config: Record<string, unknown>): Architecture {
  const names = config["architectures"]
  const wanted = Array.isArray(names) ? names.filter((n): n is string => typeof n === "string") : []
  const found = ARCHITECTURES.find((arch) => wanted.some((name) => arch.hf.includes(name)))
  if (found !== undefined) return found
  const known = ARCHITECTURES.flatMap((arch) => arch.hf).join(", ")
  throw new ConfigError(`config.json names the architecture ${wanted.join(", ") || "(none)"}; supported: ${known}`)
}
