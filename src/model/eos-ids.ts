export interface EosIds {
  /** Without doubles, in the given order: the first is the primary one. */
  readonly ids: readonly number[]
  /** Those that no token can have: they would never end a text. */
  readonly outside: readonly number[]
}

/** Sorts the end-of-sequence ids that a model's files name by whether its vocabulary has them. */
export function sortEosIds(named: readonly (number | null)[], vocabSize: number): EosIds {
  const all = [...new Set(named.filter((id) => id !== null))]
  const isToken = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabSize
  return { ids: all.filter(isToken), outside: all.filter((id) => !isToken(id)) }
}

/** What the terminal is told; null when there is nothing to tell. */
export function eosNotice({ outside }: EosIds, vocabSize: number): string | null {
  if (outside.length === 0) return null
  return `the model's end-of-sequence ids ${outside.join(", ")} are ignored: ` +
    `its vocabulary has ${vocabSize} tokens`
}
