/**
 * Counters, gauges, histograms and summaries (without quantiles) in the Prometheus text format 0.0.4.
 *
 * Every metric is a family; `labels(...)` gives the child of one combination of label values, once, so that recording
 * costs a field update and never a lookup. Nothing here reads a clock: `created` is given.
 */
import { assert } from "../base/assert.ts"

export type MetricType = "counter" | "gauge" | "histogram" | "summary"
type Metric = Counter | Gauge | Histogram | Summary

interface FamilyOptions {
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
}

export class Counter {
  value = 0

  inc(by = 1): void {
    assert(by >= 0, () => `a counter cannot go down by ${by}`)
    this.value += by
  }
}

export class Gauge {
  value = 0

  set(value: number): void {
    this.value = value
  }
}

export class Summary {
  count = 0
  sum = 0

  observe(value: number): void {
    this.count += 1
    this.sum += value
  }
}

export class Histogram {
  /** Ascending upper bounds, inclusive; +Inf is implied. */
  readonly bounds: readonly number[]
  /** [i] observations in (bounds[i - 1], bounds[i]]; the last beyond every bound. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0)
  }

  observe(value: number): void {
    const { bounds, counts } = this
    let low = 0
    let end = bounds.length
    while (low < end) {
      const mid = (low + end) >> 1
      if (value <= bounds[mid]!) end = mid
      else low = mid + 1
    }
    counts[low]! += 1
    this.sum += value
  }
}

/** One metric name: its children by label values, in order of creation. */
export class Family<Child> {
  readonly type: MetricType
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly children = new Map<string, Child>()
  readonly #make: () => Child

  constructor(type: MetricType, options: FamilyOptions, make: () => Child) {
    assert(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(options.name), () => `bad metric name ${options.name}`)
    this.type = type
    this.name = options.name
    this.help = options.help
    this.labelNames = options.labelNames ?? []
    this.#make = make
  }

  /** The child of these label values, in the order of `labelNames`. */
  labels(...values: readonly string[]): Child {
    assert(values.length === this.labelNames.length, () => `${this.name} has labels ${this.labelNames.join(", ")}`)
    const key = values.map((value, i) => `${this.labelNames[i]}="${escapeLabel(value)}"`).join(",")
    let child = this.children.get(key)
    if (child === undefined) {
      child = this.#make()
      this.children.set(key, child)
    }
    return child
  }
}

export class MetricsRegistry {
  readonly #created: number | null
  readonly #families: Family<Metric>[] = []

  /** `created`: seconds since the epoch for the `_created` series, or null for none. */
  constructor(options: { created: number | null } = { created: null }) {
    this.#created = options.created
  }

  /** `name` without the `_total` that the output adds. */
  counter(options: FamilyOptions): Family<Counter> {
    return this.#add(new Family("counter", options, () => new Counter()))
  }

  gauge(options: FamilyOptions): Family<Gauge> {
    return this.#add(new Family("gauge", options, () => new Gauge()))
  }

  summary(options: FamilyOptions): Family<Summary> {
    return this.#add(new Family("summary", options, () => new Summary()))
  }

  histogram(options: FamilyOptions & { bounds: readonly number[] }): Family<Histogram> {
    const { bounds } = options
    assert(
      bounds.every((bound, i) => i === 0 || bounds[i - 1]! < bound),
      () => `${options.name}: bounds must ascend: ${bounds.join(" ")}`,
    )
    return this.#add(new Family("histogram", options, () => new Histogram(bounds)))
  }

  #add<Child extends Metric>(family: Family<Child>): Family<Child> {
    assert(!this.#families.some(({ name }) => name === family.name), () => `metric ${family.name} registered twice`)
    this.#families.push(family)
    return family
  }

  render(): string {
    const lines: string[] = []
    for (const family of this.#families) this.#renderFamily(lines, family)
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`
  }

  #renderFamily(lines: string[], family: Family<Metric>): void {
    const name = family.type === "counter" ? `${family.name}_total` : family.name
    lines.push(`# HELP ${name} ${escapeHelp(family.help)}`, `# TYPE ${name} ${family.type}`)
    for (const [labels, child] of family.children) {
      if (child instanceof Histogram) renderHistogram(lines, name, labels, child)
      else if (child instanceof Summary) lines.push(...countAndSum(name, labels, child))
      else lines.push(sample(name, labels, child.value))
    }
    if (this.#created === null || family.type === "gauge") return
    const createdName = `${family.name}_created`
    lines.push(`# HELP ${createdName} ${escapeHelp(family.help)}`, `# TYPE ${createdName} gauge`)
    for (const labels of family.children.keys()) lines.push(sample(createdName, labels, this.#created))
  }
}

function renderHistogram(lines: string[], name: string, labels: string, histogram: Histogram): void {
  const prefix = labels === "" ? "" : `${labels},`
  let cumulative = 0
  for (let i = 0; i < histogram.counts.length; i++) {
    cumulative += histogram.counts[i]!
    const bound = histogram.bounds[i] ?? Infinity
    lines.push(sample(`${name}_bucket`, `${prefix}le="${formatNumber(bound)}"`, cumulative))
  }
  lines.push(...countAndSum(name, labels, { count: cumulative, sum: histogram.sum }))
}

function countAndSum(name: string, labels: string, { count, sum }: { count: number; sum: number }): string[] {
  return [sample(`${name}_count`, labels, count), sample(`${name}_sum`, labels, sum)]
}

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${formatNumber(value)}`
}

/** Whole numbers carry ".0", as in Python's client: `le="1.0"` is part of a series' identity on existing dashboards. */
export function formatNumber(value: number): string {
  if (value === Infinity) return "+Inf"
  if (value === -Infinity) return "-Inf"
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
}

/** 1, 2, 5, 10, 20, 50 ... up to `most`. */
export function oneTwoFiveBounds(most: number): number[] {
  const bounds: number[] = []
  for (let scale = 1; ; scale *= 10) {
    for (const mantissa of [1, 2, 5]) {
      if (mantissa * scale > most) return bounds
      bounds.push(mantissa * scale)
    }
  }
}
