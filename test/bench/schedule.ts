/**
 * Microseconds that planning a step and taking in its result cost, without any device:
 *   bun test/bench/schedule.ts [ROUNDS=5]
 * Prints the median step of each workload, which a busy machine moves least.
 */
import { Request } from "../../src/core/request.ts"
import { defaultSamplingParams } from "../../src/core/sampling-params.ts"
import type { SchedulePlan, StepResult } from "../../src/core/schedule-plan.ts"
import { makeSchedulerConfig, type SchedulerConfig } from "../../src/core/scheduler-config.ts"
import { Scheduler } from "../../src/core/scheduler.ts"
import type { KVCacheSpec } from "../../src/core/kv/kv-spec.ts"

const ROUNDS = Number(process.env["ROUNDS"] ?? 5)
const SPEC: KVCacheSpec = { kind: "full", blockSize: 16, numKVHeads: 1, headDim: 1, headDimV: 1, dtypeBytes: 2 }

interface Workload {
  readonly name: string
  readonly numRequests: number
  readonly promptTokens: number
  readonly steps: number
  readonly config?: Partial<SchedulerConfig>
}

const WORKLOADS: readonly Workload[] = [
  { name: "decode, 1 stream", numRequests: 1, promptTokens: 64, steps: 2000 },
  { name: "decode, 32 streams", numRequests: 32, promptTokens: 64, steps: 1000 },
  { name: "decode, 256 streams", numRequests: 256, promptTokens: 64, steps: 300 },
  { name: "32 streams, 1968 waiting", numRequests: 2000, promptTokens: 64, steps: 500, config: { maxNumSeqs: 32 } },
  { name: "64 prompts of 4000 tokens", numRequests: 64, promptTokens: 4000, steps: 120 },
]

function makeScheduler({ numRequests, promptTokens, config = {} }: Workload): Scheduler {
  const scheduler = makeSchedulerConfig({ maxNumSeqs: 256, maxNumBatchedTokens: 2048, maxModelLen: 8192, ...config })
  const groups = [{ spec: SPEC, layers: [0], pageBytes: 64 }]
  const kv = { numBlocks: 100_000, groups, enablePrefixCaching: true }
  const made = new Scheduler(scheduler, kv, { clock: () => 0 })
  for (let r = 0; r < numRequests; r++) {
    const promptTokenIds = Array.from({ length: promptTokens }, (_, i) => r * 10_000 + i)
    const sampling = defaultSamplingParams({ maxTokens: 8000 })
    made.addRequest(new Request({ requestId: `r${r}`, arrivalTime: r, promptTokenIds, sampling }))
  }
  return made
}

function resultOf(plan: SchedulePlan): StepResult {
  const sampledTokenIds = new Map<string, number[]>()
  for (const { requestId, samples } of plan.requests) if (samples) sampledTokenIds.set(requestId, [7])
  return { sampledTokenIds, logprobs: new Map(), promptLogprobs: new Map() }
}

/** Microseconds of each step's planning and taking in. */
function measure(workload: Workload): { schedule: number[]; update: number[] } {
  const scheduler = makeScheduler(workload)
  const times = { schedule: [] as number[], update: [] as number[] }
  const warmUp = Math.ceil(workload.steps / 10)
  for (let step = -warmUp; step < workload.steps; step++) {
    const start = performance.now()
    const plan = scheduler.schedule()
    const planned = performance.now()
    const result = resultOf(plan)
    const ran = performance.now()
    scheduler.updateFromOutput(plan, result)
    if (step < 0) continue
    times.schedule.push(1000 * (planned - start))
    times.update.push(1000 * (performance.now() - ran))
  }
  return times
}

for (const workload of WORKLOADS) {
  const rounds = Array.from({ length: ROUNDS }, () => measure(workload))
  const median = (what: "schedule" | "update") => {
    const times = rounds.flatMap((round) => round[what]).sort((a, b) => a - b)
    return (times[Math.floor(times.length / 2)] ?? 0).toFixed(2).padStart(8)
  }
  console.log(`${workload.name.padEnd(40)} schedule ${median("schedule")} us   update ${median("update")} us`)
}
