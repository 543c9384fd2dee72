/**
 * How many tokens are drafted for each request, by what became of its drafts so far.
 *
 * A draft that is right to its end doubles the length, one that is wrong from its start halves it; at 0 nothing is
 * drafted for a while, and ever longer, before one token is tried again. So text that repeats itself gets long drafts,
 * and text that does not pays for a wrong token once in a while.
 */
const FIRST_LENGTH = 4
const FIRST_PAUSE = 8
const MAX_PAUSE = 128

interface Course {
  length: number
  /** Steps until one token is tried again; only where the length is 0. */
  pause: number
  /** Of the next such time. */
  nextPause: number
}

export class DraftLengths {
  readonly #maxTokens: number
  readonly #courses = new Map<string, Course>()

  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens
  }

  /** Tokens to draft for the request's next step. Called once a step. */
  next(requestId: string): number {
    const course = this.#course(requestId)
    if (course.length > 0) return course.length
    course.pause -= 1
    if (course.pause > 0) return 0
    course.length = 1
    return 1
  }

  /** A draft of the request has been verified. */
  record(requestId: string, { numTokens, numAccepted }: { numTokens: number; numAccepted: number }): void {
    const course = this.#course(requestId)
    if (numAccepted === numTokens) {
      course.length = Math.min(this.#maxTokens, Math.max(course.length, 2 * numTokens))
      course.nextPause = FIRST_PAUSE
    } else if (numAccepted === 0) {
      course.length = Math.floor(Math.min(course.length, numTokens) / 2)
      if (course.length > 0) return
      course.pause = course.nextPause
      course.nextPause = Math.min(MAX_PAUSE, 2 * course.nextPause)
    } else {
      course.length = Math.max(numAccepted + 1, 2)
    }
  }

  finish(requestId: string): void {
    this.#courses.delete(requestId)
  }

  #course(requestId: string): Course {
    let course = this.#courses.get(requestId)
    if (course === undefined) {
      course = { length: Math.min(FIRST_LENGTH, this.#maxTokens), pause: 0, nextPause: FIRST_PAUSE }
      this.#courses.set(requestId, course)
    }
    return course
  }
}
