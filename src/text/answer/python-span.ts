/** Follows a Python literal unit by unit, to tell what is inside of its strings and brackets. */
export class PythonSpan {
  /** The quotes that end the string; "" outside of strings. */
  #quote = ""
  #isEscaped = false
  #depth = 0
  /** Quotes in a row: the start or the end of a string in three. */
  #numQuotes = 0
  #lastQuote = ""

  /** Neither a string nor a bracket is open. */
  get isOutside(): boolean {
    return this.#quote === "" && this.#depth === 0
  }

  /** False where a bracket closes that was not opened. */
  push(unit: string): boolean {
    if (this.#quote !== "") this.#readString(unit)
    else if (unit === "'" || unit === "\"") this.#readQuote(unit)
    else {
      this.#numQuotes = 0
      if ("([{".includes(unit)) this.#depth += 1
      else if (")]}".includes(unit)) this.#depth -= 1
    }
    return this.#depth >= 0
  }

  /** Outside: one quote opens a string, and a third in a row makes the empty one a string in three. */
  #readQuote(unit: string): void {
    const isThird = this.#numQuotes === 2 && this.#lastQuote === unit
    this.#quote = isThird ? unit.repeat(3) : unit
    this.#numQuotes = isThird ? 0 : 1
    this.#lastQuote = unit
  }

  #readString(unit: string): void {
    if (this.#isEscaped) {
      this.#isEscaped = false
      this.#numQuotes = 0
    } else if (unit === "\\") {
      this.#isEscaped = true
      this.#numQuotes = 0
    } else if (unit !== this.#quote[0]) {
      this.#numQuotes = 0
    } else if (this.#quote.length === 1) {
      // An empty string, so far: `#numQuotes` is 1 only right behind the quote that opened it.
      this.#numQuotes = this.#numQuotes === 1 ? 2 : 0
      this.#quote = ""
    } else {
      this.#numQuotes += 1
      if (this.#numQuotes === 3) this.#quote = ""
      if (this.#numQuotes === 3) this.#numQuotes = 0
    }
  }
}
