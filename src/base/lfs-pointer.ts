import { ConfigError } from "./errors.ts"

const FIRST_LINE = "version https://git-lfs.github.com/spec/"

/**
 * Git clones leave a few lines of text in the place of each large file until `git lfs pull` gets it.
 * Errors: `ConfigError` that says so, where the file at `path` begins with `head` as such lines do.
 */
export function refuseLfsPointer(head: Uint8Array, path: string): void {
  if (Buffer.from(head.subarray(0, FIRST_LINE.length)).toString("latin1") !== FIRST_LINE) return
  throw new ConfigError(`${path} is a Git LFS pointer, not the file itself: run \`git lfs pull\` where it was cloned`)
}
