import { assert } from "../../base/assert.ts"
import type { Request } from "../request.ts"
import type { StepConstraint, Verdict } from "./step-constraint.ts"

/** Different adapters in one step, as many as a device has room for. Requests without an adapter are not concerned. */
export class AdapterLimit implements StepConstraint {
  readonly #maxAdapters: number
  /** Adapter -> requests of the step that name it. */
  readonly #numUsers = new Map<string, number>()

  constructor(maxAdapters: number) {
    this.#maxAdapters = maxAdapters
  }

  begin(): void {
    this.#numUsers.clear()
  }

  /** Requests behind it may name an adapter that is there, or none. */
  admits(request: Request): Verdict {
    return this.#hasRoomFor(request) ? "admit" : "pass_over"
  }

  clip(request: Request, _start: number, numTokens: number): number {
    return this.#hasRoomFor(request) ? numTokens : 0
  }

  take({ adapter }: Request): void {
    if (adapter !== null) this.#numUsers.set(adapter, (this.#numUsers.get(adapter) ?? 0) + 1)
  }

  giveBack({ adapter }: Request): void {
    if (adapter === null) return
    const numUsers = this.#numUsers.get(adapter) ?? 0
    assert(numUsers > 0, () => `adapter ${adapter} is not in this step`)
    if (numUsers === 1) this.#numUsers.delete(adapter)
    else this.#numUsers.set(adapter, numUsers - 1)
  }

  #hasRoomFor({ adapter }: Request): boolean {
    return adapter === null || this.#numUsers.has(adapter) || this.#numUsers.size < this.#maxAdapters
  }
}
