/**
 * Runs the scheduler and the KV cache manager under random load with a fake model, from a seed.
 *
 * Each finished request must have the tokens of the same request run alone, whatever else was going on: chunking,
 * shared prefixes, preemption, drafts, resets. After every step the invariants of the whole are checked too.
 */
import { assert } from "../../src/base/assert.ts"
import { Prng } from "../../src/base/prng.ts"
import type { PlanMessage, PlanReader, PlanWriter } from "../../src/core/plan-codec.ts"
import type { EngineCoreOutput, FinishReason } from "../../src/core/engine-core-output.ts"
import type { BlockedReason, Request, RequestInit } from "../../src/core/request.ts"
import { comparisonByPriority } from "../../src/core/request-queue.ts"
import { defaultSamplingParams } from "../../src/core/sampling-params.ts"
import type { ScheduledRequest, SchedulePlan, StepResult, TokenLogprobs } from "../../src/core/schedule-plan.ts"
import type { PauseState, Scheduler } from "../../src/core/scheduler.ts"
import { EOS_TOKEN_ID, FakeModel, judge, saltValue, STOP_TOKEN_ID, toToken, VOCAB_SIZE } from "./fake-model.ts"
import { FakeRunner } from "./fake-runner.ts"
import { drawScenario, type Scenario } from "./scenario.ts"

/** The code under test: the real one, or a copy that was broken on purpose. */
export interface Core {
  readonly Scheduler: typeof Scheduler
  readonly Request: typeof Request
  readonly PlanWriter: typeof PlanWriter
  readonly PlanReader: typeof PlanReader
}

/** One request, what it should give, and what came. */
interface Client {
  readonly request: Request
  readonly expected: readonly number[]
  readonly expectedReason: FinishReason
  readonly expectedPromptLogprobs: readonly TokenLogprobs[] | null
  promptLogprobs: readonly TokenLogprobs[] | null
  readonly received: number[]
  isAborted: boolean
  wasAdmitted: boolean
  wasSpoiled: boolean
  /** What it has been waiting for since it arrived. */
  readonly blockedBy: Set<BlockedReason>
}

/** What a run went through; a smoke test of the simulator itself asserts that it goes through everything. */
export interface Coverage {
  steps: number
  /** Steps in which prompts were computed beside requests that decode. */
  mixedSteps: number
  finished: number
  aborted: number
  preemptions: number
  resets: number
  cachedTokens: number
  acceptedDrafts: number
  rejectedDrafts: number
  staleOutputs: number
  /** Prompts whose log-probabilities came, and those of them of which some positions were not computed. */
  judgedPrompts: number
  recalledPrompts: number
  /** Steps in each state of a pause with somebody to hold back. */
  stepsPausedNew: number
  stepsPausedAll: number
  /** Requests whose numbers were not finite, and those that were harmed by them and computed anew. */
  spoiled: number
  harmed: number
  /** Tokens that were computed before the scheduler knew them. */
  plannedAhead: number
  unblocked: number
  /** Tokens that were computed from a state that was found in the cache. */
  stateHits: number
}

export function emptyCoverage(): Coverage {
  return {
    steps: 0,
    mixedSteps: 0,
    finished: 0,
    aborted: 0,
    preemptions: 0,
    resets: 0,
    cachedTokens: 0,
    acceptedDrafts: 0,
    rejectedDrafts: 0,
    staleOutputs: 0,
    judgedPrompts: 0,
    recalledPrompts: 0,
    stepsPausedNew: 0,
    stepsPausedAll: 0,
    spoiled: 0,
    harmed: 0,
    plannedAhead: 0,
    unblocked: 0,
    stateHits: 0,
  }
}

/** Sees every plan before it is executed. */
export type PlanObserver = (plan: SchedulePlan) => void

/** Runs one scenario to its end; throws when anything is wrong. Adds what it saw to `coverage`. */
export function simulate(core: Core, seed: number, coverage: Coverage, observe: PlanObserver | null = null): void {
  const prng = new Prng(seed)
  const scenario = drawScenario(prng, new Prng(~seed >>> 0))
  try {
    const random = { prng, spoiling: new Prng(seed ^ 0x5eed), blocking: new Prng(seed ^ 0xb10c) }
    new Simulation(core, scenario, random, coverage, observe).run()
  } catch (cause) {
    throw new Error(`SEED=${seed} ${cause instanceof Error ? cause.message : cause}\n${describe(scenario)}`, { cause })
  }
}

function describe(scenario: Scenario): string {
  return JSON.stringify(scenario, (_, value) => (value === Infinity ? "Infinity" : value))
}

interface Random {
  readonly prng: Prng
  readonly spoiling: Prng
  readonly blocking: Prng
}

class Simulation {
  readonly #core: Core
  readonly #scenario: Scenario
  readonly #prng: Prng
  /** Of its own, so that what a seed gave before stays as it was. */
  readonly #spoiling: Prng
  /** What came last: blocked requests, and those that wait for the host. */
  readonly #blocking: Prng
  readonly #coverage: Coverage
  readonly #observe: PlanObserver | null
  readonly #scheduler: Scheduler
  readonly #runner: FakeRunner
  readonly #writer: PlanWriter
  readonly #reader: PlanReader
  readonly #clients = new Map<string, Client>()
  readonly #live = new Set<Client>()
  readonly #inFlight: { plan: SchedulePlan; result: StepResult }[] = []
  /** Token sequences that later prompts may begin with. */
  readonly #pastTokens: number[][] = []
  #pause: PauseState = "unpaused"
  #now = 0
  /** Spoiled in the step being executed. */
  #spoiledIds: string[] = []

  constructor(
    core: Core, scenario: Scenario, random: Random, coverage: Coverage,
    observe: PlanObserver | null,
  ) {
    this.#observe = observe
    this.#core = core
    this.#writer = new core.PlanWriter()
    this.#reader = new core.PlanReader()
    this.#scenario = scenario
    this.#prng = random.prng
    this.#spoiling = random.spoiling
    this.#blocking = random.blocking
    this.#coverage = coverage
    const { numBlocks, groups, enablePrefixCaching, windows, groupOf, memoryOf, stateGroup } = scenario
    const blockSizes = groups.map(({ spec }) => spec.blockSize)
    const kv = { numBlocks, groups, enablePrefixCaching }
    this.#scheduler = new core.Scheduler(scenario.scheduler, kv, { clock: () => this.#now })
    const saltOf = (id: string) => saltValue(this.#client(id).request.cacheSalt)
    const spoils = (id: string) => this.#spoils(this.#client(id))
    const memory = { groupOf, memoryOf, stateGroup, numBlocks, blockSizes }
    this.#runner = new FakeRunner({ windows, ...memory, saltOf, spoils })
  }

  run(): void {
    // Every live token may be computed again after each preemption, but not for ever.
    const maxSteps = 2000 + 200 * this.#scenario.numRequests * this.#scenario.scheduler.maxModelLen
    for (let step = 0; this.#clients.size < this.#scenario.numRequests || this.#live.size > 0; step++) {
      assert(step < maxSteps, () => `${this.#live.size} requests starve after ${step} steps`)
      this.#now += 1
      this.#disturb()
      this.#step()
      this.#coverage.steps += 1
    }
    this.#finish()
  }

  /** What the outside does between two steps. */
  #disturb(): void {
    const { numRequests, arrivalRate, abortRate, resetRate, pauseRate } = this.#scenario
    while (this.#clients.size < numRequests && this.#prng.chance(arrivalRate)) this.#arrive()
    if (this.#live.size > 0 && this.#prng.chance(abortRate)) this.#abort(this.#prng.pick([...this.#live]))
    for (const client of this.#live) if (this.#blocking.chance(0.2)) this.#unblock(client)
    if (this.#prng.chance(resetRate)) {
      const isReset = this.#scheduler.resetPrefixCache(this.#prng.chance(0.5))
      if (isReset) this.#coverage.resets += 1
    }
    if (this.#prng.chance(this.#pause === "unpaused" ? pauseRate : 0.3)) {
      this.#pause = this.#pause === "unpaused" ? this.#prng.pick(["paused_new", "paused_all"]) : "unpaused"
      this.#scheduler.setPause(this.#pause)
    }
  }

  #step(): void {
    const { pipelineDepth } = this.#scenario
    const waiting = this.#waitingClients()
    const areDecoding = this.#decoding()
    const plan = this.#scheduler.schedule(this.#scenario.maxPromptTokens)
    this.#observe?.(plan)
    this.#checkPlan(plan, waiting)
    if (areDecoding.size > 0) this.#checkDelay(plan)
    if (areDecoding.size > 0 && plan.totalNumScheduledTokens > plan.requests.length) this.#coverage.mixedSteps += 1
    this.#inFlight.push({ plan, result: this.#execute(plan) })
    this.#scheduler.verify()
    const isIdle = plan.totalNumScheduledTokens === 0
    // A request that preempted itself ends its step: the next one goes on.
    const hasPreempted = plan.preemptedRequestIds.length > 0
    const mayMove = this.#pause === "unpaused" && this.#live.size > 0
    const isWaiting = [...this.#live].every(({ request }) => request.isBlocked)
    const mustMove = isIdle && !hasPreempted && this.#inFlight.length === 1 && mayMove && !isWaiting
    assert(!mustMove, () => `step ${plan.step}: nothing scheduled, ${this.#live.size} requests live`)
    // An abort may arrive while a step runs: its tokens must not be delivered.
    if (this.#live.size > 0 && this.#prng.chance(this.#scenario.abortRate)) {
      this.#abort(this.#prng.pick([...this.#live]))
    }
    if (this.#inFlight.length < pipelineDepth && !isIdle && this.#prng.chance(0.7)) return
    while (this.#inFlight.length > 0 && (isIdle || this.#inFlight.length >= pipelineDepth)) this.#update()
  }

  /** What is not finite is read in the step that computes it, or before that step's result is taken in; never later. */
  #execute(plan: SchedulePlan): StepResult {
    this.#spoiledIds = []
    const isKnown = this.#inFlight.every(({ result }) => result.failures === undefined)
    const result = this.#runner.execute(this.#scenario.sendsPlans ? this.#send(plan) : plan)
    for (const id of result.failures?.keys() ?? []) {
      if (this.#spoiledIds.includes(id)) continue
      assert(!isKnown || this.#spoiledIds.length > 0, () => `step ${plan.step}: ${id} was given what is not finite`)
      this.#coverage.harmed += 1
    }
    return result
  }

  /** The plan as another process gets it. */
  #send(plan: SchedulePlan): SchedulePlan {
    const message = JSON.stringify(this.#writer.write(plan))
    return this.#reader.read(JSON.parse(message) as PlanMessage)
  }

  /** One of the reasons from outside is gone; what is in flight brings the others. */
  #unblock({ request, blockedBy }: Client): void {
    const [reason] = blockedBy
    if (reason === undefined) return
    blockedBy.delete(reason)
    this.#scheduler.unblock(request.requestId, reason)
    this.#coverage.unblocked += 1
  }

  /** Nobody fails twice: every request has its tokens in the end. */
  #spoils(client: Client): boolean {
    if (client.wasSpoiled || client.request.isComputedApart) return false
    if (!this.#spoiling.chance(this.#scenario.spoilRate)) return false
    client.wasSpoiled = true
    this.#spoiledIds.push(client.request.requestId)
    this.#coverage.spoiled += 1
    return true
  }

  #update(): void {
    const step = this.#inFlight.shift()
    assert(step !== undefined)
    for (const { requestId } of step.plan.requests) {
      if (this.#client(requestId).request.blockedReasons.includes("stale_output")) this.#coverage.staleOutputs += 1
    }
    for (const output of this.#scheduler.updateFromOutput(step.plan, step.result)) this.#receive(output)
    this.#scheduler.verify()
    if (this.#scenario.numDraftTokens > 0) this.#scheduler.updateDraftTokens(this.#propose(step.plan))
  }

  #receive(output: EngineCoreOutput): void {
    const client = this.#client(output.requestId)
    const { request, expected, received } = client
    assert(this.#live.has(client), () => `${output.requestId}: output after its end`)
    received.push(...output.newTokenIds)
    const numCached = output.prefillStats?.numCachedTokens ?? 0
    this.#coverage.cachedTokens += numCached
    if (this.#scenario.stateGroup !== null) this.#coverage.stateHits += numCached
    if (output.promptLogprobs !== null) this.#receivePromptLogprobs(client, output)
    assert(received.length <= expected.length, () => `${output.requestId}: too many tokens`)
    for (const [i, id] of received.entries()) {
      assert(id === expected[i], () => `${output.requestId}: output ${i} is ${id}, alone it is ${expected[i]}`)
    }
    if (output.finishReason === null) return
    assert(received.length === expected.length, () => `${output.requestId}: ended after ${received.length} tokens`)
    assert(output.finishReason === client.expectedReason, () => `${output.requestId}: ${output.finishReason}`)
    const hasJudged = (client.promptLogprobs !== null) === (client.expectedPromptLogprobs !== null)
    assert(hasJudged, () => `${output.requestId}: its prompt was ${hasJudged ? "" : "not "}judged`)
    this.#coverage.finished += 1
    this.#end(client)
    this.#pastTokens.push(request.tokenIds.slice())
  }

  #receivePromptLogprobs(client: Client, output: EngineCoreOutput): void {
    const [want, got] = [JSON.stringify(client.expectedPromptLogprobs), JSON.stringify(output.promptLogprobs)]
    assert(client.promptLogprobs === null, () => `${output.requestId}: its prompt was judged twice`)
    assert(want === got, () => `${output.requestId}: its prompt was judged as ${got}, alone it is ${want}`)
    client.promptLogprobs = output.promptLogprobs
    this.#coverage.judgedPrompts += 1
    if ((output.prefillStats?.numCachedTokens ?? 0) > 0) this.#coverage.recalledPrompts += 1
  }

  #end(client: Client): void {
    this.#live.delete(client)
    this.#coverage.preemptions += client.request.numPreemptions
    const ids = this.#scheduler.kv.blockIds(client.request.requestId)
    assert(ids.length === 0, () => `${client.request.requestId} is finished and holds blocks ${ids}`)
  }

  #abort(client: Client): void {
    const { requestId } = client.request
    const ids = this.#prng.pick([requestId, [requestId, requestId, "nobody"]])
    const ended = this.#scheduler.finishRequests(ids, "abort")
    assert(ended.length === 1 && ended[0] === client.request, () => `abort of ${requestId} ended ${ended.length}`)
    client.isAborted = true
    this.#coverage.aborted += 1
    this.#end(client)
  }

  #arrive(): void {
    const { scheduler, numSalts, judgeRate } = this.#scenario
    const salt = this.#prng.int(1, numSalts)
    const maxTokens = this.#prng.int(1, this.#prng.pick([3, 20, scheduler.maxModelLen]))
    const init: RequestInit = {
      requestId: `r${this.#clients.size}`,
      promptTokenIds: this.#drawPrompt(scheduler.maxModelLen - 1),
      priority: this.#prng.int(0, 2),
      arrivalTime: this.#now,
      blockedBy: this.#drawReasons(),
      waitsForHost: this.#blocking.chance(0.4),
      cacheSalt: salt === 1 ? null : `salt${salt}`,
      sampling: defaultSamplingParams({
        maxTokens,
        eosTokenId: EOS_TOKEN_ID,
        ignoreEos: this.#prng.chance(0.5),
        stopTokenIds: this.#prng.chance(0.5) ? [STOP_TOKEN_ID] : [],
        promptLogprobs: this.#prng.chance(judgeRate) ? this.#prng.int(0, 2) : null,
      }),
    }
    const request = new this.#core.Request(init)
    const alone = runAlone(init, this.#scenario)
    const client = {
      request, ...alone, promptLogprobs: null, received: [], isAborted: false, wasAdmitted: false, wasSpoiled: false,
      blockedBy: new Set(init.blockedBy),
    }
    this.#clients.set(init.requestId, client)
    this.#live.add(client)
    this.#scheduler.addRequest(request)
  }

  #drawReasons(): BlockedReason[] {
    if (!this.#blocking.chance(this.#scenario.blockRate)) return []
    return this.#blocking.pick([["grammar"], ["remote_kv"], ["grammar", "remote_kv"]])
  }

  /** A new prompt, or one that begins like an earlier conversation. */
  #drawPrompt(maxLength: number): number[] {
    const length = this.#prng.int(1, this.#prng.chance(0.5) ? maxLength : Math.min(maxLength, 16))
    const isFollowUp = this.#pastTokens.length > 0 && this.#prng.chance(0.6)
    const start = isFollowUp ? this.#prng.pick(this.#pastTokens.slice(this.#prng.chance(0.5) ? -3 : 0)) : []
    const prompt = start.slice(0, this.#prng.int(Math.min(1, start.length), maxLength))
    while (prompt.length < length) prompt.push(this.#prng.int(0, VOCAB_SIZE - 1))
    if (this.#prng.chance(0.5)) this.#pastTokens.push(prompt.slice())
    return prompt
  }

  /** Drafts that begin right and may go wrong. */
  #propose(plan: SchedulePlan): Map<string, number[]> {
    const drafts = new Map<string, number[]>()
    for (const { requestId } of plan.requests) {
      const { expected, received, isAborted } = this.#client(requestId)
      const draft = expected.slice(received.length, received.length + this.#prng.int(0, this.#scenario.numDraftTokens))
      const wrongFrom = this.#prng.int(0, draft.length)
      for (let i = wrongFrom; i < draft.length; i++) draft[i] = this.#prng.int(-1, VOCAB_SIZE - 1)
      if (draft.length > 0 || isAborted) drafts.set(requestId, draft)
    }
    return drafts
  }

  #checkPlan(plan: SchedulePlan, waiting: readonly Client[]): void {
    const { scheduler } = this.#scenario
    this.#checkPause(plan, waiting.length)
    let total = 0
    let lastAdmitted: Client | null = null
    for (const scheduled of plan.requests) {
      total += scheduled.numScheduledTokens
      assert(scheduled.numScheduledTokens > 0, () => `${scheduled.requestId}: nothing scheduled`)
      const end = scheduled.numComputedTokens + scheduled.numScheduledTokens
      assert(end < scheduler.maxModelLen, () => `${scheduled.requestId}: scheduled up to ${end}`)
      this.#checkAhead(scheduled, end)
      assert(scheduled.samples === end >= scheduled.tokenIds.length, () => `${scheduled.requestId}: samples`)
      if (scheduled.isNew) lastAdmitted = this.#client(scheduled.requestId)
    }
    assert(total === plan.totalNumScheduledTokens, () => `${total} tokens, said ${plan.totalNumScheduledTokens}`)
    const budget = scheduler.maxNumBatchedTokens
    assert(total <= budget, () => `${total} tokens in a budget of ${budget}`)
    assert(plan.requests.length <= scheduler.maxNumSeqs, () => `${plan.requests.length} requests in a plan`)
    if (lastAdmitted !== null) this.#checkOrder(lastAdmitted, waiting)
    for (const { requestId, isNew } of plan.requests) if (isNew) this.#client(requestId).wasAdmitted = true
  }

  /** Nothing is computed for a request that is blocked or must wait, nor after the last token that it can have. */
  #checkAhead(scheduled: ScheduledRequest, end: number): void {
    const { requestId, numUnknownTokens, draftTokenIds, numPromptTokens, sampling } = scheduled
    const { request, blockedBy } = this.#client(requestId)
    this.#coverage.plannedAhead += numUnknownTokens
    const isBlocked = request.isBlocked || blockedBy.size > 0
    assert(!isBlocked, () => `${requestId} is blocked by ${[...blockedBy, ...request.blockedReasons]}`)
    assert(numUnknownTokens === 0 || !request.waitsForHost, () => `${requestId} does not wait for the host`)
    const last = numPromptTokens + sampling.maxTokens - 1
    assert(end - draftTokenIds.length <= last, () => `${requestId}: scheduled up to ${end}, the last token is ${last}`)
  }

  #checkPause(plan: SchedulePlan, numWaiting: number): void {
    const numNew = plan.requests.filter(({ isNew }) => isNew).length
    if (this.#pause === "paused_new") {
      assert(numNew === 0, () => `${numNew} requests were admitted in a pause`)
      if (numWaiting > 0) this.#coverage.stepsPausedNew += 1
    } else if (this.#pause === "paused_all") {
      assert(plan.requests.length === 0, () => `${plan.requests.length} requests run in a pause of all`)
      if (this.#live.size > numWaiting) this.#coverage.stepsPausedAll += 1
    }
  }

  /** Running requests that wait for nothing but their next token. */
  #decoding(): Set<Client> {
    return new Set([...this.#live].filter(({ request }) => request.status === "running" && request.isCaughtUp))
  }

  /** Prompts do not keep those waiting who decode. */
  #checkDelay(plan: SchedulePlan): void {
    const { maxPromptTokens } = this.#scenario
    let numPromptTokens = 0
    for (const { tokenIds, numComputedTokens, numScheduledTokens } of plan.requests) {
      if (tokenIds.length - numComputedTokens > 1) numPromptTokens += numScheduledTokens
    }
    assert(numPromptTokens <= maxPromptTokens, () => `${numPromptTokens} prompt tokens of at most ${maxPromptTokens}`)
  }

  /** Nobody who waited before `admitted` in the policy's order, and could have been admitted, still waits. */
  #checkOrder(admitted: Client, waiting: readonly Client[]): void {
    const { policy, priorityAgeingSeconds } = this.#scenario.scheduler
    const compare = comparisonByPriority(priorityAgeingSeconds)
    for (const other of waiting) {
      if (other.request.status === "running" || other.request.isBlocked) continue
      const [a, b] = [admitted.request, other.request]
      const isOvertaken = policy === "priority" ? compare(b, a) < 0 : isEarlier(other, admitted)
      assert(!isOvertaken, () => `${a.requestId} was admitted before ${b.requestId}`)
    }
  }

  #waitingClients(): Client[] {
    return [...this.#live].filter(({ request }) => request.status !== "running")
  }

  /** Nothing may be left behind. */
  #finish(): void {
    while (this.#inFlight.length > 0) this.#update()
    this.#scheduler.setPause("unpaused")
    const plan = this.#scheduler.schedule()
    this.#runner.execute(this.#scenario.sendsPlans ? this.#send(plan) : plan)
    assert(plan.requests.length === 0, "a plan for nobody")
    assert(this.#runner.numRows === 0, () => `the runner keeps ${this.#runner.numRows} rows`)
    assert(!this.#scheduler.hasWork(), "work is left")
    const stats = this.#scheduler.makeStats()
    assert(stats.numRunning + stats.numWaiting + stats.numDeferred === 0, "requests are left in the counts")
    assert(stats.kvCacheUsage === 0, () => `KV cache usage is ${stats.kvCacheUsage}`)
    const drafts = stats.specDecoding
    if (drafts !== null) {
      this.#coverage.acceptedDrafts += drafts.numAcceptedTokens
      this.#coverage.rejectedDrafts += drafts.numDraftTokens - drafts.numAcceptedTokens
    }
    const numDelivered = [...this.#clients.values()].reduce((sum, { received }) => sum + received.length, 0)
    const { numGenerationTokens } = stats
    assert(numGenerationTokens === numDelivered, () => `${numGenerationTokens} counted, ${numDelivered} came`)
    assert(this.#scheduler.resetPrefixCache(), "the prefix cache cannot be reset")
  }

  #client(requestId: string): Client {
    const client = this.#clients.get(requestId)
    assert(client !== undefined, () => `unknown request ${requestId}`)
    return client
  }
}

/** First come, first served: a request that was never admitted goes behind those that were, then by arrival. */
function isEarlier(other: Client, admitted: Client): boolean {
  if (other.wasAdmitted || admitted.wasAdmitted) return other.wasAdmitted && !admitted.wasAdmitted
  return other.request.arrivalTime < admitted.request.arrivalTime
}

/** What the request gives when nothing else runs. */
function runAlone(
  init: RequestInit,
  scenario: Scenario,
): Pick<Client, "expected" | "expectedReason" | "expectedPromptLogprobs"> {
  const model = new FakeModel(scenario.windows, scenario.stateGroup !== null, init.cacheSalt ?? null)
  const { sampling, promptTokenIds } = init
  const outputs = promptTokenIds.map((id) => model.output(id))
  const numTop = sampling.promptLogprobs
  const expectedPromptLogprobs =
    numTop === null ? null : promptTokenIds.slice(1).map((id, i) => judge(outputs[i] as number, id, numTop))
  let next = toToken(outputs.at(-1) as number)
  const expected: number[] = []
  const end = (expectedReason: FinishReason) => ({ expected, expectedReason, expectedPromptLogprobs })
  for (;;) {
    expected.push(next)
    if (next === EOS_TOKEN_ID && !sampling.ignoreEos) return end("stop")
    if (sampling.stopTokenIds.includes(next)) return end("stop")
    const isFull = promptTokenIds.length + expected.length >= scenario.scheduler.maxModelLen
    if (isFull || expected.length >= sampling.maxTokens) return end("length")
    next = model.next(next)
  }
}
