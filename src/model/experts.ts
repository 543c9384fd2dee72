/** Mixtures of experts: a router sends each token to a few of many MLPs. */
import { ConfigError } from "../base/errors.ts"
import type { FeedForward } from "./blocks.ts"
import type { ConfigReader } from "./config-reader.ts"
import type { ModelConfig } from "./config.ts"
import type { Routing } from "./stage.ts"
import type { WeightMap } from "./weights.ts"

export interface ExpertsConfig {
  readonly numExperts: number
  readonly routing: Routing
  /** Inner size of one expert. */
  readonly size: number
  /** One a layer: whether it has experts. */
  readonly layers: readonly boolean[]
}

const MAX_EXPERTS = 65_536

/** The key that says how many experts there are; several names of it may be there if they agree. */
export function readNumExperts(reader: ConfigReader, keys: readonly string[]): number {
  const key = keys.find((each) => reader.has(each)) ?? keys[0]!
  const numExperts = reader.int(key, { min: 1, max: MAX_EXPERTS })
  for (const other of keys) reader.alias(other, numExperts)
  return numExperts
}

/** Experts chosen by softmax from all of them, `num_experts_per_tok` for a token. */
export function softmaxRouting(reader: ConfigReader, numExperts: number, isNormalized: boolean): Routing {
  const perToken = reader.int("num_experts_per_tok", { min: 1, max: numExperts })
  return { perToken, scores: "softmax", isNormalized, scale: 1, groups: null }
}

/** Which layers have experts where `mlp_only_layers` and `decoder_sparse_step` tell. Errors: `ConfigError`. */
export function readSparseLayers(reader: ConfigReader, numLayers: number): boolean[] {
  const step = reader.int("decoder_sparse_step", { min: 1 }, 1)
  const dense = new Set(reader.intList("mlp_only_layers", { min: 0 }))
  const beyond = [...dense].find((layer) => layer >= numLayers)
  if (beyond !== undefined)
    throw new ConfigError(`config.json: mlp_only_layers has ${beyond}, num_hidden_layers is ${numLayers}`)
  return Array.from({ length: numLayers }, (_, l) => !dense.has(l) && (l + 1) % step === 0)
}

/**
 * Experts that a checkpoint stores one by one. `router`, `bias`: their names (the bias's with its ending), null where
 * no bias is added to scores. `parts`: what stands behind an expert's name for gate, up and down.
 */
export function experts(
  w: WeightMap, { hiddenSize, hiddenAct }: Pick<ModelConfig, "hiddenSize" | "hiddenAct">,
  { numExperts, size, routing }: Pick<ExpertsConfig, "numExperts" | "size" | "routing">,
  names: {
    readonly router: string; readonly bias?: string | null; readonly expert: (e: number) => string
    readonly parts?: readonly [gate: string, up: string, down: string]
  },
): FeedForward {
  const { expert, bias = null, parts: [gate, up, down] = ["gate_proj", "up_proj", "down_proj"] } = names
  const router = w.router(names.router, numExperts, hiddenSize)
  const choiceBias = bias === null ? null : w.vector(bias, numExperts)
  const weights = {
    gateUp: w.experts(numExperts, (e) => [[`${expert(e)}.${gate}`, size], [`${expert(e)}.${up}`, size]], hiddenSize),
    down: w.experts(numExperts, (e) => [[`${expert(e)}.${down}`, hiddenSize]], size),
  }
  return (b, x, stream) => {
    const routed = b.route(b.logits(x, router), choiceBias, routing)
    b.experts(x, weights, routed, { act: hiddenAct, stream })
  }
}

/** Several of them after one another, each added to the stream. */
export function allOf(...parts: readonly (FeedForward | null)[]): FeedForward {
  return (b, x, stream) => {
    for (const part of parts) part?.(b, x, stream)
  }
}

/** An MLP that every token uses, times the sigmoid of a number of its own. */
export function gatedSharedExpert(
  w: WeightMap, c: Pick<ModelConfig, "hiddenSize" | "hiddenAct">, { prefix, gate, size }:
  { prefix: string; gate: string; size: number },
): FeedForward {
  const gateUp = w.linear([[`${prefix}.gate_proj`, size], [`${prefix}.up_proj`, size]], c.hiddenSize, { bias: false })
  const down = w.linear([[`${prefix}.down_proj`, c.hiddenSize]], size, { bias: false })
  // A router of one expert, whose weight is its score.
  const router = w.router(gate, 1, c.hiddenSize)
  const routing: Routing = { perToken: 1, scores: "sigmoid", isNormalized: false, scale: 1, groups: null }
  return (b, x, stream) => {
    const out = b.linear(b.gatedAct(b.linear(x, gateUp), c.hiddenAct), down)
    b.combine(out, b.route(b.logits(x, router), null, routing), stream)
  }
}
