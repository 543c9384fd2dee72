/**
 * What a C library asks of its system, answered as by a system that has nothing: no files, no environment, no output.
 */
const SUCCESS = 0
const BAD_DESCRIPTOR = 8
const NOT_SUPPORTED = 58
const NANOSECONDS_PER_MILLISECOND = 1e6

export class WasiStub {
  /** Set as soon as the module has one. */
  memory: WebAssembly.Memory | null = null

  readonly imports: Record<string, (...args: number[]) => number> = {
    environ_get: () => SUCCESS,
    environ_sizes_get: (count, bytes) => this.#store(count!, 0) ?? this.#store(bytes!, 0) ?? SUCCESS,
    clock_time_get: (_clock, _precision, time) => {
      const nanoseconds = BigInt(Math.round(performance.now() * NANOSECONDS_PER_MILLISECOND))
      this.#view().setBigUint64(time!, nanoseconds, true)
      return SUCCESS
    },
    // Claims to have written everything, or the library would try again.
    fd_write: (_descriptor, vectors, count, written) => {
      let bytes = 0
      for (let i = 0; i < count!; i++) bytes += this.#view().getUint32(vectors! + 8 * i + 4, true)
      return this.#store(written!, bytes) ?? SUCCESS
    },
    fd_close: () => BAD_DESCRIPTOR,
    fd_seek: () => BAD_DESCRIPTOR,
    // Nothing here sleeps.
    poll_oneoff: () => NOT_SUPPORTED,
    proc_exit: (code) => {
      throw new Error(`the grammar module ended itself with code ${code}`)
    },
  }

  #view(): DataView {
    return new DataView(this.memory!.buffer)
  }

  #store(address: number, value: number): undefined {
    this.#view().setUint32(address, value, true)
  }
}
