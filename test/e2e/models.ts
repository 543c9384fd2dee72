import { findDefaultModel } from "../../src/cli/default-model.ts"

/** The default model's file, or null, with a line that says so, where it has not been fetched. */
export function defaultModel(): string | null {
  try {
    return findDefaultModel()
  } catch {
    console.log("SKIPPED: the default model is not here; run `make model`")
    return null
  }
}
