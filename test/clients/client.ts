import type { Line } from "./script.ts"

/** A program or library that people call the server with, and a task that it has to finish. */
export interface Client {
  readonly name: string
  readonly registry: "npm" | "pip"
  /** Pinned requirements in the registry's form, the client itself first. */
  readonly packages: readonly string[]
  /** What the model says in the task; the client works in `directory`. */
  script(directory: string): readonly Line[]
  /** Status codes that the task provokes on purpose; any other of 400 and above fails it. */
  readonly refusals?: readonly number[]
  /** Runs the task. Resolves with what was done, in a few words. Errors: say what was not as wanted. */
  run(session: Session): Promise<string>
}

export interface Session {
  /** The server, without a path: http://127.0.0.1:1234 */
  readonly url: string
  /** Where the client is installed: an npm prefix, or a virtual environment. */
  readonly prefix: string
  /** An empty directory that is also the client's home. */
  readonly directory: string
  /** Runs a program of the client's to its end, with nothing from this process's environment. */
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<Output>
  /** A Node.js that all clients can run on. */
  readonly node: string
}

export interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The name that the server gives its model. */
export const MODEL = "scripted"
