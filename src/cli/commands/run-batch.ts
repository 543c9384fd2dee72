/** `baozi run-batch`: wires a batch to its files and to a model of its own. */
import { randomHex } from "../../api/http/request-id.ts"
import { ConfigError } from "../../base/errors.ts"
import { stderr } from "../../base/standard-streams.ts"
import { BatchOutput } from "../../batch/batch-output.ts"
import { Progress } from "../../batch/progress.ts"
import { countLines, readLines } from "../../batch/read-lines.ts"
import { runBatch } from "../../batch/run-batch.ts"
import type { LocalConfig } from "../local-options.ts"
import { startLocalApp } from "../../app/local-app.ts"

const EXIT_INTERRUPTED = 130

/** Resolves with 0 when every request has a result, whatever it is. Errors: `ConfigError`. */
export async function runBatchCommand(config: LocalConfig<"run-batch">): Promise<number> {
  const { inputFile, outputFile, overwrite, engine } = config
  if (inputFile === null || outputFile === null)
    throw new ConfigError("run-batch needs --input-file and --output-file; - is standard input or output")
  const numLines = await countLines(inputFile)
  const output = new BatchOutput(outputFile, { overwrite })
  const app = await startLocalApp(engine)
  const stop = new AbortController()
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => (stop.signal.aborted ? process.exit(EXIT_INTERRUPTED) : stop.abort()))
  }
  const say = (text: string): void => void stderr.write(text)
  const isTerminal = process.stderr.isTTY === true
  const summary = await runBatch({
    lines: readLines(inputFile), numLines, output, concurrency: config.concurrency ?? 2 * engine.maxNumSeqs,
    handle: (request) => app.handle(request), hasDied: () => app.deathReason() !== null, signal: stop.signal, randomHex,
    progress: new Progress({ isTerminal, write: say, now: () => performance.now() / 1000 }),
  })
  await output.close()
  const { numStray } = summary
  if (numStray > 0) say(`${numStray} results in ${outputFile} are of requests that ${inputFile} lacks\n`)
  const death = app.deathReason()
  if (death !== null) throw new ConfigError(death)
  await app.stop()
  return summary.isStopped ? EXIT_INTERRUPTED : 0
}
