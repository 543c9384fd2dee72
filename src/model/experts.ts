/** Mixtures of experts: a router sends each token to a few of many MLPs. */
import type { Act } from "../../ffi/abi.ts"
import type { Matrix } from "../tensor/device.ts"
import type { Routing, Stage } from "./stage.ts"
import type { LinearWeight, VectorWeight, WeightMap } from "./weights.ts"

export interface ExpertsWeights {
  readonly router: LinearWeight
  /** Added to scores when experts are chosen; null: none. */
  readonly bias: VectorWeight | null
  readonly gateUp: LinearWeight
  readonly down: LinearWeight
}

/**
 * Experts that a checkpoint stores one by one. `router`, `bias`: their names (the bias's with its ending). `parts`: what
 * stands behind an expert's name for gate, up and down.
 */
export function expertsWeights(
  w: WeightMap, { numExperts, hiddenSize, size }: { numExperts: number; hiddenSize: number; size: number },
  { router, bias, expert, parts: [gate, up, down] }: {
    router: string; bias: string | null; expert: (e: number) => string; parts: readonly [string, string, string]
  },
): ExpertsWeights {
  return {
    router: w.router(router, numExperts, hiddenSize),
    bias: bias === null ? null : w.vector(bias, numExperts),
    gateUp: w.experts(numExperts, (e) => [[`${expert(e)}.${gate}`, size], [`${expert(e)}.${up}`, size]], hiddenSize),
    down: w.experts(numExperts, (e) => [[`${expert(e)}.${down}`, hiddenSize]], size),
  }
}

/** stream += the weighted outputs of the experts that the router chooses for each row of `x`. */
export function mixture(
  b: Stage, weights: ExpertsWeights, x: Matrix, routing: Routing, { act, stream }: { act: Act; stream: Matrix },
): void {
  const routed = b.route(b.logits(x, weights.router), weights.bias, routing)
  b.experts(x, weights, routed, { act, stream })
}
