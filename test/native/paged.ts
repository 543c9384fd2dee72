import { Prng } from "../../src/base/prng.ts"

export interface Blocks {
  /** [requests, columns] */
  readonly table: Int32Array
  readonly columns: number
  readonly numBlocks: number
}

/** Blocks of `blockSize` tokens for requests of these lengths, dealt out in a shuffled order, block 0 to none. */
export function makeTable(lengths: readonly number[], blockSize: number): Blocks {
  const needs = lengths.map((length) => Math.ceil(length / blockSize))
  const columns = Math.max(...needs) + 1
  const numBlocks = 1 + needs.reduce((sum, n) => sum + n, 0)
  const ids = Array.from({ length: numBlocks - 1 }, (_, i) => i + 1)
  const prng = new Prng(77)
  for (let i = ids.length - 1; i > 0; i--) {
    const j = prng.int(0, i)
    ;[ids[i], ids[j]] = [ids[j] as number, ids[i] as number]
  }
  const table = new Int32Array(lengths.length * columns)
  let next = 0
  needs.forEach((need, r) => {
    for (let i = 0; i < need; i++) table[r * columns + i] = ids[next++] as number
  })
  return { table, columns, numBlocks }
}
