import { writeFileSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"
import { stdout } from "../base/standard-streams.ts"

/** A table of words and numbers, the first row its head; numbers are set to the right. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "number" ? formatNumber(cell) : cell)))
  const width = (column: number) => Math.max(...cells.map((row) => row[column]?.length ?? 0))
  const widths = cells[0]!.map((_, column) => width(column))
  const isNumeric = widths.map((_, column) => rows.slice(1).every((row) => typeof row[column] !== "string"))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join("  ").trimEnd()
  return cells.map(line).join("\n") + "\n"
}

/** Four digits that count. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "-"
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.min(4, Math.max(0, 3 - digits)))
}

export function formatShare(value: number): string {
  return Number.isFinite(value) ? `${(value * 100).toFixed(1)} %` : "-"
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"]
  let unit = 0
  while (bytes >= 1024 && unit < units.length - 1) [bytes, unit] = [bytes / 1024, unit + 1]
  return `${formatNumber(Math.round(bytes * 10) / 10)} ${units[unit]}`
}

/** Where figures go: words to standard output, JSON to `file`; "-" is JSON to standard output alone. */
export function writeReport(words: string, figures: unknown, file: string | null): void {
  if (file !== "-") stdout.write(words)
  if (file !== null) writeJson(file, figures)
}

/** Errors: `ConfigError` where the file cannot be written. */
export function writeJson(file: string, figures: unknown): void {
  const text = `${JSON.stringify(figures, null, 2)}\n`
  if (file === "-") return void stdout.write(text)
  try {
    writeFileSync(file, text)
  } catch (error) {
    throw new ConfigError(`cannot write ${file}: ${(error as Error).message}`)
  }
}
