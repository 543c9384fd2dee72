/** The p-th percentile, p in [0, 100], between neighbours in proportion, as numpy's default. NaN for no values. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = ((sorted.length - 1) * p) / 100
  const low = Math.floor(at)
  const [a, b] = [sorted[low], sorted[Math.ceil(at)]]
  return a === undefined || b === undefined ? Number.NaN : a + (b - a) * (at - low)
}

export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** NaN for no values. */
export function mean(values: readonly number[]): number {
  return sum(values) / values.length
}

/** Of the whole population, as numpy's default. */
export function standardDeviation(values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)))
}
