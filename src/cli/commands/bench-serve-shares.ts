/** What a server made of this machine: finds out what its model costs, measures the machine, and compares. */
import { formatShare } from "../../bench/report.ts"
import { serveShares, type ServeShares } from "../../bench/serve/shares.ts"
import type { ServeBenchResult } from "../../bench/serve/run.ts"
import type { MachineLimits } from "../../bench/machine-limits.ts"
import { DEFAULT_MODEL_NAME } from "../default-model.ts"
import type { ServeConfig } from "../serve-options.ts"
import { resolveModel } from "../../model/resolve.ts"
import { withStepEngine } from "../../app/load-step-engine.ts"

export interface ServerShares {
  readonly model: string
  readonly limits: MachineLimits
  readonly shares: ServeShares
}

export interface SharesOptions {
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string>>
  /** The served model's files; null asks the server for their path. */
  readonly weights: string | null
  /** Flags of an engine, for loading them. */
  readonly engine: ServeConfig
}

/** Or why the share cannot be known. */
export async function measureShares(result: ServeBenchResult, o: SharesOptions): Promise<ServerShares | string> {
  if (!/^https?:\/\/(localhost|127\.[\d.]+|\[::1\])([:/]|$)/.test(o.baseUrl)) return "the server is on another machine"
  const root = o.weights ?? (await rootOf(result.model, o))
  if (root === null) return "the server does not say where its model is; give --weights"
  try {
    const told = await flagsOf(o)
    const model = root === DEFAULT_MODEL_NAME ? null : resolveModel(root)
    // A few blocks: nothing is computed with this engine but the cost of its weights.
    const config = { ...o.engine, ...told, model, maxModelLen: 128, numGpuBlocksOverride: 64 }
    return withStepEngine(config, (engine, limits) => ({
      model: root, limits, shares: serveShares(result.outcomes, result.metrics.duration, engine.model.cost, limits),
    }))
  } catch (error) {
    return `${root}: ${(error as Error).message}`
  }
}

export function describeShares(found: ServerShares | string): string {
  if (typeof found === "string") return `Share of this machine's limits: not known: ${found}\n`
  const { limits, shares } = found
  const giga = (rate: number) => (rate / 1e9).toFixed(1)
  const { int8, bf16, f32 } = limits.productsPerSecond
  const requests = Number.isFinite(shares.decodeRequests) ? `, ${shares.decodeRequests.toFixed(1)} requests a step` : ""
  return [
    `Share of this machine's limits (reads ${giga(limits.bytesPerSecond)} GB/s; multiply-adds int8 ${giga(int8)}, ` +
      `bf16 ${giga(bf16)}, f32 ${giga(f32)} G/s):`,
    `  prefill ${formatShare(shares.prefill)}; decode ${formatShare(shares.decode)}${requests}; ` +
      `the whole run ${formatShare(shares.run)}`,
    "",
  ].join("\n")
}

/** What the server calls the model's root: Baozi and vLLM tell it, llama.cpp names the model by its path. */
async function rootOf(model: string, { baseUrl, headers }: SharesOptions): Promise<string | null> {
  type Models = { data?: { id?: unknown; root?: unknown }[] } | null
  const answer = (await getJson(`${baseUrl}/v1/models`, headers)) as Models
  const card = answer?.data?.find(({ id }) => id === model)
  const root = card?.root ?? card?.id
  return typeof root === "string" ? root : null
}

/** A Baozi's flags that change what its weights and its cache weigh. */
async function flagsOf({ baseUrl, headers }: SharesOptions): Promise<Partial<ServeConfig>> {
  const answer = await getJson(`${baseUrl}/server_info?config_format=json`, headers)
  const flags = (answer as { vllm_config?: Partial<ServeConfig> } | null)?.vllm_config
  if (flags?.activationBits === undefined) return {}
  const { dtype, quantization, kvCacheDtype } = flags
  return { dtype, quantization, kvCacheDtype } as Partial<ServeConfig>
}

async function getJson(url: string, headers: Readonly<Record<string, string>>): Promise<unknown> {
  try {
    const response = await fetch(url, { headers })
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}
