/** `baozi bench engine`: wires the layers of the engine over a backend that computes nothing. */
import { createApp } from "../../api/app.ts"
import { workerUrl } from "../../base/embedded.ts"
import { makeLog } from "../../base/log.ts"
import { Prng } from "../../base/prng.ts"
import { randomTokens } from "../../bench/datasets.ts"
import { describeLayers, measureLayers, type EngineLayer } from "../../bench/engine-layers.ts"
import { describeSteps, measureSteps } from "../../bench/engine-steps.ts"
import { writeReport } from "../../bench/report.ts"
import { StepEngine } from "../../bench/step-engine.ts"
import type { BenchConfig } from "../bench-options.ts"
import { defaultSamplingParams } from "../../core/sampling-params.ts"
import type { EngineClient } from "../../engine/engine-client.ts"
import type { EngineReady } from "../../engine/engine-ready.ts"
import { WorkerPort } from "../../engine/worker-port.ts"
import type { EngineConfig } from "../../exec/engine-config.ts"
import { onNullBackend } from "../../app/null-backend.ts"
import { startOptions } from "../../app/engine-options.ts"
import { startEngine } from "../../app/start-engine.ts"

export async function benchEngine(config: BenchConfig<"engine">): Promise<number> {
  const { engine: flags, json, streams, inputLen, outputLen, rounds, seed } = config
  const numStreams = [...new Set([1, ...streams])].sort((a, b) => a - b)
  const mostStreams = Math.max(...numStreams)
  const log = makeLog({ level: "error", json: false })
  const options = startOptions({ ...flags, logLevel: "error", disableLogStats: true }, log)
  const empty: EngineConfig = {
    ...onNullBackend(options.engine, flags.libDir),
    maxNumSeqs: mostStreams, maxNumBatchedTokens: Math.max(options.engine.maxNumBatchedTokens, mostStreams),
    maxModelLen: inputLen + outputLen + 1,
    numBlocksOverride: mostStreams * (Math.ceil((inputLen + outputLen + 1) / options.engine.blockSize) + 1) + 1,
  }
  const steps = measureSteps(empty, { batchSizes: numStreams, inputLen, outputLen, rounds, seed })
  const prompts = promptSource(seed, inputLen)
  const layers = [
    stepLayer(empty, prompts), await workerLayer(empty, prompts),
    ...await clientLayers({ ...options, engine: empty }, prompts),
  ]
  try {
    const figures = await measureLayers(layers, { numStreams, outputLen, rounds })
    const words = [
      "A step, on the engine's thread:\n", describeSteps(steps),
      "\nAll of it, layer by layer:\n", describeLayers(figures),
    ]
    writeReport(words.join(""), { inputLen, outputLen, rounds, steps, layers: figures }, json)
  } finally {
    for (const layer of layers) await layer.close()
  }
  return 0
}

/** Random prompts, so that no prefix is ever found. */
type PromptSource = () => number[]

function promptSource(seed: number, length: number): PromptSource {
  const prng = new Prng(seed)
  const ids = Array.from({ length: 1000 }, (_, i) => 100 + i)
  return () => randomTokens(length, ids, prng)
}

function stepLayer(config: EngineConfig, prompts: PromptSource): EngineLayer {
  const engine = StepEngine.load(config)
  return {
    name: "scheduler, runner and sampler",
    run(numStreams, outputLen) {
      for (let i = 0; i < numStreams; i++) engine.add(prompts(), outputLen)
      engine.run()
    },
    close: () => engine.dispose(),
  }
}

async function workerLayer(config: EngineConfig, prompts: PromptSource): Promise<EngineLayer> {
  const port = new WorkerPort<EngineConfig, EngineReady>(new Worker(workerUrl("engine-worker.ts")), config, () => {})
  await port.ready
  let numLeft = 0
  let done = (): void => {}
  port.onOutputs(({ outputs }) => {
    for (const { newTokenIds } of outputs) numLeft -= newTokenIds.length
    if (numLeft === 0) done()
  })
  let nextId = 0
  return {
    name: "the engine's thread",
    async run(numStreams, outputLen) {
      numLeft = numStreams * outputLen
      const all = new Promise<void>((resolve) => (done = resolve))
      const sampling = defaultSamplingParams({ temperature: 0, ignoreEos: true, maxTokens: outputLen })
      for (let i = 0; i < numStreams; i++)
        port.add([{
          requestId: String(nextId++), promptTokenIds: prompts(), sampling, priority: 0, arrivalTime: 0,
          cacheSalt: null, grammarId: null,
        }])
      await all
    },
    close: () => port.close(),
  }
}

/** The front half alone, and with the API's events as they would go out on a socket. */
async function clientLayers(
  options: Parameters<typeof startEngine>[0], prompts: PromptSource,
): Promise<[EngineLayer, EngineLayer]> {
  const client = await startEngine(options)
  const app = createApp({ accessLog: false, log: makeLog({ level: "error", json: false }) }, client)
  const { signal } = new AbortController()
  let nextId = 0
  const front: EngineLayer = {
    name: "detokenizer and streams",
    async run(numStreams, outputLen) {
      const sampling = defaultSamplingParams({ temperature: 0, ignoreEos: true, maxTokens: outputLen })
      await Promise.all(Array.from({ length: numStreams }, async () => {
        const request = {
          requestId: String(nextId++), promptTokenIds: prompts(), sampling, priority: 0, cacheSalt: null,
          outputKind: "delta" as const,
        }
        for await (const _ of client.generate(request, signal));
      }))
    },
    close: () => {},
  }
  const whole: EngineLayer = {
    name: "server-sent events",
    run: async (numStreams, outputLen) => {
      await Promise.all(Array.from({ length: numStreams }, () => readStream(app, client, prompts(), outputLen)))
    },
    close: () => client.shutdown(0),
  }
  return [front, whole]
}

async function readStream(
  app: ReturnType<typeof createApp>, client: EngineClient, prompt: number[], outputLen: number,
): Promise<void> {
  const body = JSON.stringify({
    model: client.model.servedNames[0], prompt, max_tokens: outputLen, ignore_eos: true, temperature: 0, stream: true,
  })
  const headers = { "content-type": "application/json" }
  const response = await app.handle(new Request("http://localhost/v1/completions", { method: "POST", headers, body }))
  if (!response.ok) throw new Error(`the stream was refused: ${await response.text()}`)
  for await (const _ of response.body!);
}
