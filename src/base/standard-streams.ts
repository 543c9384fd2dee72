/** This process's standard output and error: neither holds the program up, nor ends it with a stack. */
import { DescriptorWriter } from "./descriptor-writer.ts"

const MAX_STDERR_BYTES = 2 ** 20
/** What is left to a reader of stderr that stalls while the process ends. */
const STDERR_GRACE_MS = 1000
/** What a shell says of a program that SIGPIPE ended, as it ends most programs whose reader goes away. */
export const EXIT_NO_READER = 128 + 13

/** For logs and words about the work: what its reader does not take in time is dropped. */
export const stderr = new DescriptorWriter(2, { maxBytes: MAX_STDERR_BYTES })

/** For what a command answers: all of it waits for its reader. Without one (`| head`) the process ends in silence. */
export const stdout = new DescriptorWriter(1, { maxBytes: Infinity, onError: endWithoutStdout })

let hasLostOutput = false

/** Ends the process when everything is written; with 1 in place of 0 where that could not be done. */
export async function endProcess(exitCode: number): Promise<never> {
  await stdout.flush()
  await stderr.flush(STDERR_GRACE_MS)
  process.exit(exitCode === 0 && hasLostOutput ? 1 : exitCode)
}

/** The runtime's own stream, for a library that edits lines on a terminal: it ends as `stdout` does. */
export function terminalOutput(): NodeJS.WriteStream {
  return process.stdout.on("error", endWithoutStdout)
}

function endWithoutStdout(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(EXIT_NO_READER)
  hasLostOutput = true
  stderr.write(`error: cannot write to standard output: ${error.message}\n`)
  void endProcess(1)
}
