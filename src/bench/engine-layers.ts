/**
 * What the engine costs around its arithmetic, layer by layer: each layer runs the same requests with everything below
 * it, so that the difference of two is what one of them costs. The figures are of a backend that computes nothing.
 */
import { formatTable } from "./report.ts"
import { median } from "./statistics.ts"

/** One request at a time for each stream; resolves when all are answered to their full length. */
export interface EngineLayer {
  readonly name: string
  run(numStreams: number, outputLen: number): Promise<void> | void
  close(): Promise<void> | void
}

export interface LayerFigures {
  readonly layer: string
  readonly numStreams: number
  readonly tokensPerSecond: number
  /** A step makes one token for every stream. */
  readonly stepUs: number
  /** Of all threads. */
  readonly cpuUsPerToken: number
}

export interface LayerOptions {
  readonly numStreams: readonly number[]
  readonly outputLen: number
  /** Times each is run; the figures are medians. */
  readonly rounds: number
}

/** The layers take turns, so that a slow moment of the machine is nobody's own. */
export async function measureLayers(layers: readonly EngineLayer[], options: LayerOptions): Promise<LayerFigures[]> {
  const { outputLen, rounds } = options
  const figures: LayerFigures[] = []
  for (const numStreams of options.numStreams) {
    const runs = layers.map(() => [] as Run[])
    for (let round = 0; round < rounds; round++)
      for (const [i, layer] of layers.entries()) runs[i]!.push(await timed(() => layer.run(numStreams, outputLen)))
    for (const [i, layer] of layers.entries()) {
      const ms = median(runs[i]!.map((run) => run.ms))
      const cpuUs = median(runs[i]!.map((run) => run.cpuUs))
      const numTokens = numStreams * outputLen
      figures.push({
        layer: layer.name, numStreams, tokensPerSecond: (numTokens / ms) * 1000, stepUs: (ms * 1000) / outputLen,
        cpuUsPerToken: cpuUs / numTokens,
      })
    }
  }
  return figures
}

interface Run {
  readonly ms: number
  readonly cpuUs: number
}

async function timed(run: () => Promise<void> | void): Promise<Run> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  await run()
  const ms = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  return { ms, cpuUs: user + system }
}

export function describeLayers(figures: readonly LayerFigures[]): string {
  const rows = figures.map((f) => [f.numStreams, f.layer, f.tokensPerSecond, f.stepUs, f.cpuUsPerToken])
  return formatTable([["streams", "up to", "tokens/s", "us a step", "CPU us a token"], ...rows])
}
