import type { MachineLimits, ProductRate, ReadRate } from "./machine-limits.ts"
import { formatBytes, formatTable } from "./report.ts"

export interface LimitsFigures {
  readonly device: string
  readonly isa: string
  readonly threads: number
  readonly reads: readonly ReadRate[]
  readonly products: readonly ProductRate[]
  readonly limits: MachineLimits
}

export function describeLimits({ device, isa, threads, reads, products, limits }: LimitsFigures): string {
  const giga = (rate: number | null) => (rate === null ? "-" : (rate / 1e9).toFixed(1))
  return [
    `${device}, ${isa}, ${threads} threads`,
    "",
    formatTable([
      ["reads of", "GB/s"],
      ...reads.map(({ bytes, bytesPerSecond }) => [formatBytes(bytes), giga(bytesPerSecond)]),
    ]),
    formatTable([
      ["billion multiply-adds/s", "our instructions", "oneDNN", "limit"],
      ...products.map(({ format, kernels, library }) =>
        [format, giga(kernels), giga(library), giga(limits.productsPerSecond[format])]),
    ]),
  ].join("\n")
}
