import { existsSync } from "node:fs"
import { join, resolve } from "node:path"

/**
 * The directory of reference fixtures (models, tokenizers, recorded answers), or null where this checkout has none.
 * `BAOZI_FIXTURES` names another one.
 */
export function fixturesDir(): string | null {
  const dir = process.env["BAOZI_FIXTURES"] ?? resolve(import.meta.dir, "../../shared/fixtures")
  return existsSync(dir) ? dir : null
}

/** A path inside the fixtures, or null with one printed line saying what is left out. */
export function fixture(path: string): string | null {
  const dir = fixturesDir()
  const full = dir === null ? null : join(dir, path)
  if (full !== null && existsSync(full)) return full
  console.log(`SKIPPED: fixture ${path} is not here`)
  return null
}
