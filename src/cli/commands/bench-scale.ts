/** `baozi bench scale`: wires the curves of bench/scale.ts to models, the backend that computes nothing, and files. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { preloadLibraries } from "../../../ffi/preload.ts"
import { stdout } from "../../base/standard-streams.ts"
import { plotSvg } from "../../bench/plot.ts"
import { formatTable, writeReport } from "../../bench/report.ts"
import { scaleBatch, scaleBlocks, scaleContext, scaleWaiting, type ScaleCurve } from "../../bench/scale.ts"
import type { BenchConfig } from "../bench-options.ts"
import { onNullBackend } from "../../app/null-backend.ts"
import { engineConfig, modelPathOf } from "../../app/engine-options.ts"

export async function benchScale({ engine, plotDir, json, ...options }: BenchConfig<"scale">): Promise<number> {
  const computing = engineConfig(engine, modelPathOf(engine))
  const empty = onNullBackend(computing, engine.libDir)
  preloadLibraries(computing.libraries.preload)
  const curves: ScaleCurve[] = []
  for (const measure of [
    () => scaleBatch(computing, options), () => scaleContext(computing, options),
    () => scaleWaiting(empty, options), () => scaleBlocks(empty, options),
  ]) {
    const curve = measure()
    curves.push(curve)
    if (json !== "-") stdout.write(`${describeCurve(curve)}\n`)
    // The next measurement leaves no time for it.
    await stdout.flush()
    if (plotDir !== null) writePlot(plotDir, curve)
  }
  writeReport("", { ...options, curves }, json)
  return 0
}

function describeCurve({ of, points, exponent }: ScaleCurve): string {
  const rows = points.map(({ size, stepMs }) => [size, stepMs, (stepMs * 1000) / size])
  const grows = Number.isFinite(exponent) ? `grows with the power ${exponent.toFixed(2)} at the end\n` : ""
  return formatTable([[of, "step, ms", "us each"], ...rows]) + grows
}

function writePlot(directory: string, { name, of, points, exponent }: ScaleCurve): void {
  mkdirSync(directory, { recursive: true })
  const line = points.map(({ size, stepMs }) => [size, stepMs] as const)
  const series = [{ name: Number.isFinite(exponent) ? `power ${exponent.toFixed(2)} at the end` : name, points: line }]
  const plot = { title: `Cost of a step against ${name}`, xLabel: of, yLabel: "ms", series }
  writeFileSync(join(directory, `scale-${name}.svg`), plotSvg(plot))
}
