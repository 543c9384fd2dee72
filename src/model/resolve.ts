import { existsSync, readdirSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { ConfigError } from "../base/errors.ts"

type Environment = Readonly<Record<string, string | undefined>>

// The hub allows one or two names of letters, digits, "-", "_" and "."; neither can lead out of the cache.
const REPOSITORY = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)?$/

/**
 * Where the model is on this machine: `nameOrPath` itself when it exists, else the snapshot of `org/name` in the
 * Hugging Face cache. Errors: `ConfigError` saying where it was looked for.
 */
export function resolveModel(nameOrPath: string, environment: Environment = process.env): string {
  if (nameOrPath === "") throw new ConfigError("the model's name is empty")
  if (existsSync(nameOrPath)) return nameOrPath
  if (!REPOSITORY.test(nameOrPath)) throw new ConfigError(`there is no model at ${nameOrPath}`)
  const repository = join(hubCache(environment), `models--${nameOrPath.replace("/", "--")}`)
  const snapshot = findSnapshot(repository)
  if (snapshot !== null) return snapshot
  throw new ConfigError(
    `there is no model ${nameOrPath}: neither the path ./${nameOrPath} nor ${repository} exists or holds a snapshot`,
  )
}

/** The directory that Hugging Face's own tools download to. */
export function hubCache(environment: Environment = process.env): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = environment
  const explicit = HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE
  if (explicit) return explicit
  const home = HF_HOME || join(XDG_CACHE_HOME || join(environment["HOME"] || homedir(), ".cache"), "huggingface")
  return join(home, "hub")
}

/** The snapshot that `main` refers to, or the only one there is. */
function findSnapshot(repository: string): string | null {
  const snapshots = join(repository, "snapshots")
  if (!existsSync(snapshots)) return null
  const names = readdirSync(snapshots)
  const main = join(repository, "refs", "main")
  const wanted = existsSync(main) ? readFileSync(main, "utf8").trim() : names.length === 1 ? names[0] : undefined
  return wanted !== undefined && names.includes(wanted) ? join(snapshots, wanted) : null
}
