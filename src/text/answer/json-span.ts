/**
 * Finds the end of one JSON value in a text that comes in pieces. It checks no more than it needs to: outside of
 * strings only characters that JSON has, and no bracket too many.
 */
export class JsonSpan {
  /** open: it goes on. done: it has ended. broken: it is no JSON. */
  state: "open" | "done" | "broken" = "open"
  #depth = 0
  #isInString = false
  #isEscaped = false
  #isScalar = false

  /** Reads `text` from `from`, which is no white space at first. Returns where the value ends, or breaks. */
  read(text: string, from: number): number {
    for (let i = from; i < text.length; i++) {
      const unit = text[i]!
      if (this.#isInString) this.#readString(unit)
      else if (!this.#readOutside(unit)) return i
      if (this.state === "done") return i + 1
    }
    return text.length
  }

  #readString(unit: string): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (unit === "\\") this.#isEscaped = true
    else if (unit === "\"") {
      this.#isInString = false
      if (this.#depth === 0) this.state = "done"
    }
  }

  /** False where `unit` is not the value's any more. */
  #readOutside(unit: string): boolean {
    if (this.#isScalar && !isScalarUnit(unit)) return this.#stop("done")
    switch (unit) {
      case "\"":
        this.#isInString = true
        return true
      case "{":
      case "[":
        this.#depth += 1
        return true
      case "}":
      case "]":
        if (this.#depth === 0) return this.#stop("broken")
        this.#depth -= 1
        if (this.#depth === 0) this.state = "done"
        return true
      case ",":
      case ":":
        return this.#depth > 0 || this.#stop("broken")
      default:
        if (this.#depth > 0) return isScalarUnit(unit) || isSpace(unit) || this.#stop("broken")
        this.#isScalar = isScalarUnit(unit)
        return this.#isScalar || this.#stop("broken")
    }
  }

  #stop(state: "done" | "broken"): false {
    this.state = state
    return false
  }
}

/** Of numbers, true, false and null. */
function isScalarUnit(unit: string): boolean {
  return (unit >= "0" && unit <= "9") || (unit >= "a" && unit <= "z") || "+-.E".includes(unit)
}

/** White space as JSON has it. */
export function isSpace(unit: string): boolean {
  return unit === " " || unit === "\n" || unit === "\t" || unit === "\r"
}

/** Whether all of `text` is one JSON value. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
