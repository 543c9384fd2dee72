import { present } from "../../src/base/assert.ts"

/** A server as users start it: a process, of which only its output and its socket are known. */
export interface ServerProcess {
  readonly url: string
  readonly pid: number
  /** What it has written to stderr so far. */
  log(): string
  /** Sends a signal and waits for the end. Resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>
  readonly exited: Promise<number>
}

export interface StartOptions {
  readonly cwd: string
  /** Exactly this environment. */
  readonly env?: Record<string, string>
  readonly timeoutMs?: number
}

const READY = /serving .* on (https?:\/\/[^\s,]+)/

/**
 * Runs `command`, which ends in flags of `baozi serve`, on a free port, until it says that it is ready.
 * Errors: with everything it wrote, when it ends or takes too long instead.
 */
export async function startServerProcess(command: readonly string[], options: StartOptions): Promise<ServerProcess> {
  const { cwd, env = {}, timeoutMs = 30_000 } = options
  const child = Bun.spawn([...command, "--port", "0"], { cwd, env, stdin: "ignore", stdout: "ignore", stderr: "pipe" })
  let log = ""
  const ready = Promise.withResolvers<string>()
  const reading = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      log += decoder.decode(chunk, { stream: true })
      const match = READY.exec(log)
      if (match !== null) ready.resolve(present(match[1], "url"))
    }
  })()
  const timer = setTimeout(() => ready.reject(new Error(`not ready after ${timeoutMs} ms:\n${log}`)), timeoutMs)
  void child.exited.then(async (code) => {
    await reading
    ready.reject(new Error(`ended with ${code} before it was ready:\n${log}`))
  })
  try {
    const url = await ready.promise
    const stop = (signal: NodeJS.Signals = "SIGTERM") => {
      child.kill(signal)
      return child.exited
    }
    return { url, pid: child.pid, log: () => log, stop, exited: child.exited }
  } catch (error) {
    child.kill("SIGKILL")
    throw error
  } finally {
    clearTimeout(timer)
  }
}
