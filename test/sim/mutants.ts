/**
 * Copies of the core with one bug each. A simulator that cannot see them would prove nothing.
 * `find` must occur exactly once in its file: a mutant that no longer applies fails loudly.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { assert } from "../../src/base/assert.ts"
import type { Core } from "./simulator.ts"

export interface Mutant {
  readonly name: string
  /** Inside src/core. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "a released block keeps a holder",
    file: "kv/block-pool.ts",
    find: "block.refCount -= 1",
    replace: "block.refCount -= block.id % 7 === 3 ? 0 : 1",
  },
  {
    name: "a revived block stays in the free queue",
    file: "kv/block-pool.ts",
    find: "if (block.refCount === 0) this.#free.remove(block)",
    replace: "",
  },
  {
    name: "a block is shared before it is full",
    file: "kv/group-tables.ts",
    find: "const numFull = Math.floor(numTokens / this.blockSize)\n    for",
    replace:
      "const numNamed = Math.floor(blockHashes.length / this.#namesPerBlock)\n" +
      "    const numFull = Math.min(numNamed, Math.ceil(numTokens / this.blockSize))\n    for",
  },
  {
    name: "the window gives back one block too many",
    file: "kv/sliding-window.ts",
    find: "Math.max(0, numComputedTokens - window + 1)",
    replace: "Math.max(0, numComputedTokens - window + 1 + blockSize)",
  },
  {
    name: "a window hit is one block short",
    file: "kv/sliding-window.ts",
    find: "const numTailBlocks = ceilDiv(window - 1, blockSize)",
    replace: "const numTailBlocks = Math.max(1, ceilDiv(window - 1, blockSize) - 1)",
  },
  {
    name: "the cache salt is ignored",
    file: "kv/block-hash.ts",
    find: "const hasSalt = start === 0 &&",
    replace: "const hasSalt = start < 0 &&",
  },
  {
    name: "a block's name ignores what came before it",
    file: "kv/block-hash.ts",
    find: "scratch.write(parent ?? ROOT_HASH, 0",
    replace: "scratch.write(ROOT_HASH, 0",
  },
  {
    name: "rejected drafts count as computed",
    file: "request.ts",
    find: "this.numComputedTokens -= numRejected",
    replace: "",
  },
  {
    name: "a preempted request does not wait for what is in flight",
    file: "request.ts",
    find: "const isBlocked = this.numStaleTokens > 0 && !this.dropsStaleOutput",
    replace: "const isBlocked = false",
  },
  {
    name: "a window's prefix is computed inside where it is not cached",
    file: "kv/kv-manager.ts",
    find: "if (this.#covers(hit, firstNeededPosition)) return",
    replace: "return",
  },
  {
    name: "prompt log-probabilities are recalled with too few of the likeliest",
    file: "prompt-logprobs-cache.ts",
    find: "cached === undefined || cached.numTop < wanted.numTop",
    replace: "cached === undefined",
  },
  {
    name: "a prompt token is judged by the output after it",
    file: "prompt-logprobs.ts",
    find: "const first = Math.max(from + 1, this.#numKnown)",
    replace: "const first = Math.max(from, this.#numKnown)",
  },
  {
    name: "the budget is not charged",
    file: "constraints/budgets.ts",
    find: "numTokens: number): void {\n    this.#left -= numTokens",
    replace: "numTokens: number): void {",
  },
  {
    name: "a pause admits",
    file: "scheduler.ts",
    find: "if (!hasPreempted && this.#pause === \"unpaused\")",
    replace: "if (!hasPreempted)",
  },
  {
    name: "a pause of all lets the running ones go on",
    file: "scheduler.ts",
    find: "const isFrozen = this.#pause === \"paused_all\"",
    replace: "const isFrozen = false",
  },
  {
    name: "waiting makes up for nothing",
    file: "scheduler.ts",
    find: "comparisonByPriority(config.priorityAgeingSeconds)",
    replace: "comparisonByPriority(0)",
  },
  {
    name: "what a plan takes back is given back twice",
    file: "plan-draft.ts",
    find: "constraint.giveBack(request, scheduled.numScheduledTokens)",
    replace: "constraint.giveBack(request, 2 * scheduled.numScheduledTokens)",
  },
  {
    name: "prompts are not held back by those who decode",
    file: "constraints/budgets.ts",
    find: "if (!request.isCaughtUp) this.#left -=",
    replace: "if (false) this.#left -=",
  },
  {
    name: "a message leaves out the tokens that came since",
    file: "plan-codec.ts",
    find: "for (const tokenId of newTokenIds) mirror.tokenIds.push(tokenId)",
    replace: "",
  },
  {
    name: "a step is planned for a request that has its last token in flight",
    file: "request.ts",
    find: "const isEnding = this.numOutputTokens + this.numPlaceholders >= this.sampling.maxTokens",
    replace: "const isEnding = false",
  },
  {
    name: "who waits for the host is planned ahead",
    file: "request.ts",
    find: "return this.waitsForHost || isEnding",
    replace: "return isEnding",
  },
  {
    name: "tokens that a preemption gave up are waited for",
    file: "request.ts",
    find: "this.#encodedEnd = 0\n    this.numPlaceholders = 0",
    replace: "this.#encodedEnd = 0",
  },
  {
    name: "a blocked request is admitted",
    file: "request-queue.ts",
    find: "if (request.isBlocked) {",
    replace: "if (false) {",
  },
  {
    name: "one of two reasons is enough to unblock",
    file: "request.ts",
    find: "this.#blockedReasons.filter((other) => other !== reason)",
    replace: "[]",
  },
  {
    name: "a state's last block is given back before it is read",
    file: "kv/state-snapshots.ts",
    find: "Math.max(0, numComputedTokens - 1)",
    replace: "numComputedTokens",
  },
  {
    name: "a state is found in the step that computes it",
    file: "kv/group-tables.ts",
    find: "if (this.policy.holdsState) this.#fresh.add(blockId)",
    replace: "",
  },
  {
    name: "a step ends past a boundary where the state is to be kept",
    file: "constraints/state-alignment.ts",
    find: "end - (end % this.#blockSize) - start",
    replace: "end - start",
  },
  {
    name: "a state is asked for drafts",
    file: "constraints/state-alignment.ts",
    find: "Math.min(start + numTokens, request.numTokensPlanned)",
    replace: "start + numTokens",
  },
  {
    name: "outputs inside a prefix are computed from the state at its end",
    file: "kv/kv-manager.ts",
    find: "if (group.policy.holdsState) return false",
    replace: "",
  },
  {
    name: "an aborted request keeps its blocks",
    file: "scheduler.ts",
    find: "request.finish(reason)\n      this.#release(request)",
    replace: "request.finish(reason)\n      this.#requests.delete(id)\n      this.#finishedIds.push(id)",
  },
  {
    name: "what is not finite is found again",
    file: "scheduler.ts",
    find: "this.#kv.forgetPrefix(request)",
    replace: "",
  },
  {
    name: "who shares what is not finite ends with it",
    file: "scheduler.ts",
    find: "if (request.isComputedApart) return false",
    replace: "return false",
  },
  {
    name: "who is computed apart shares all the same",
    file: "kv/kv-manager.ts",
    find: "|| request.isComputedApart) return this.noHit()",
    replace: ") return this.noHit()",
  },
]

/** The core with the mutant's bug, loaded from a copy. `dispose` deletes the copy. */
export async function loadMutant(mutant: Mutant): Promise<Core & { dispose: () => void }> {
  const dir = mkdtempSync(join(tmpdir(), "baozi-mutant-"))
  const src = resolve(import.meta.dir, "../../src")
  for (const layer of ["base", "core"]) cpSync(join(src, layer), join(dir, layer), { recursive: true })
  const path = join(dir, "core", mutant.file)
  const text = readFileSync(path, "utf8")
  assert(text.split(mutant.find).length === 2, () => `mutant "${mutant.name}" does not apply to ${mutant.file}`)
  writeFileSync(path, text.replace(mutant.find, () => mutant.replace))
  const { Scheduler } = await import(join(dir, "core/scheduler.ts"))
  const { Request } = await import(join(dir, "core/request.ts"))
  const { PlanReader, PlanWriter } = await import(join(dir, "core/plan-codec.ts"))
  return { Scheduler, Request, PlanReader, PlanWriter, dispose: () => rmSync(dir, { recursive: true, force: true }) }
}
