import { assert, unreachable } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import type { LogLevel } from "../base/log.ts"
import type { EngineCoreCalls, EngineCoreOutputs, EngineCorePort, EngineCoreRequest } from "./engine-core-port.ts"
import { OutputDecoder } from "./output-codec.ts"
import type { FromWorker, ToWorker } from "./worker-protocol.ts"

interface PendingCall {
  readonly resolve: (value: boolean) => void
  readonly reject: (error: Error) => void
}

export type NoticeListener = (line: string, level: LogLevel) => void

/** The engine's back half on a worker thread. */
export class WorkerPort<Config, Ready> implements EngineCorePort {
  readonly #worker: Worker
  readonly #config: Config
  readonly #calls = new Map<number, PendingCall>()
  #ready = Promise.withResolvers<Ready>()
  #closed = Promise.withResolvers<void>()
  #decoder = new OutputDecoder()
  #nextCallId = 1
  /** How often the back half was started. */
  numStarts = 0
  #onOutputs: (outputs: EngineCoreOutputs) => void = () => {}
  #onDeath: (error: Error) => void = () => {}
  #death: Error | null = null
  #hasThread = true

  /** `onNotice` is called with lines for the log: written by the thread itself they would block on a stalled reader. */
  constructor(worker: Worker, config: Config, onNotice: NoticeListener) {
    this.#worker = worker
    this.#config = config
    worker.onmessage = (event: MessageEvent<FromWorker<Ready>>) => this.#receive(event.data, onNotice)
    worker.onerror = (event) => this.#loseThread(new Error(`engine thread: ${event.message}`))
    worker.addEventListener("close", () => this.#loseThread(new Error("the engine thread ended")))
    this.#start()
  }

  #start(): void {
    this.numStarts += 1
    this.#ready.promise.catch(() => {})
    this.#send({ type: "start", config: this.#config })
  }

  /** Resolves when the model is loaded. Errors: `ConfigError` when it cannot be served. */
  get ready(): Promise<Ready> {
    return this.#ready.promise
  }

  async restart(): Promise<void> {
    assert(this.#death !== null, "the engine lives")
    if (!this.#hasThread) throw this.#death
    this.#death = null
    this.#ready = Promise.withResolvers()
    this.#closed = Promise.withResolvers()
    this.#decoder = new OutputDecoder()
    this.#start()
    await this.#ready.promise
  }

  add(requests: readonly EngineCoreRequest[]): void {
    this.#send({ type: "add", requests })
  }

  /** Where the engine's thread has grammars followed. `port` is its own from here on. */
  connectGrammars(port: MessagePort, masks: unknown): void {
    this.#worker.postMessage({ type: "grammars", port, masks } satisfies ToWorker<Config>, [port])
  }

  abort(requestIds: readonly string[]): void {
    this.#send({ type: "abort", requestIds })
  }

  call<K extends keyof EngineCoreCalls>(
    name: K,
    ...args: Parameters<EngineCoreCalls[K]>
  ): Promise<boolean> {
    if (this.#death !== null) return Promise.reject(this.#death)
    const callId = this.#nextCallId++
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    this.#calls.set(callId, { resolve, reject })
    this.#send({ type: "call", callId, name, args })
    return promise
  }

  onOutputs(listener: (outputs: EngineCoreOutputs) => void): void {
    this.#onOutputs = listener
  }

  onDeath(listener: (error: Error) => void): void {
    this.#onDeath = listener
    if (this.#death !== null) listener(this.#death)
  }

  close(): Promise<void> {
    if (this.#death !== null) return Promise.resolve()
    this.#send({ type: "close" })
    return this.#closed.promise
  }

  #send(message: ToWorker<Config>): void {
    this.#worker.postMessage(message)
  }

  #receive(message: FromWorker<Ready>, onNotice: NoticeListener): void {
    switch (message.type) {
      case "notice":
        return message.lines.forEach((line) => onNotice(line, message.level))
      case "ready":
        return this.#ready.resolve(message.ready)
      case "outputs":
        return this.#onOutputs({ ...message.batch, outputs: this.#decoder.decode(message.batch.outputs) })
      case "result":
        return this.#settle(message.callId, (call) => call.resolve(message.value))
      case "failed":
        return this.#settle(message.callId, (call) => call.reject(new Error(message.message)))
      case "dead":
        return this.#die(message.isConfigError ? new ConfigError(message.message) : withoutStack(message.message))
      case "closed":
        this.#death = new Error("the engine is closed")
        return this.#closed.resolve()
      default:
        return unreachable(message)
    }
  }

  #settle(callId: number, settle: (call: PendingCall) => void): void {
    const call = this.#calls.get(callId)
    this.#calls.delete(callId)
    if (call !== undefined) settle(call)
  }

  #loseThread(error: Error): void {
    this.#hasThread = false
    this.#die(error)
  }

  #die(error: Error): void {
    if (this.#death !== null) return
    this.#death = error
    this.#ready.reject(error)
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
    this.#closed.resolve()
    this.#onDeath(error)
  }
}

/** A mistake on the thread, which has told its stack: that of this side says nothing. */
function withoutStack(message: string): Error {
  return Object.assign(new Error(message), { stack: `Error: ${message}` })
}
