import { BODY_TARGET } from "./bodies.ts"
import { MODEL_FILE_TARGETS } from "./model-files.ts"
import type { FuzzTarget } from "./target.ts"
import { TEMPLATE_TARGET } from "./templates.ts"

export const TARGETS: readonly FuzzTarget[] = [...MODEL_FILE_TARGETS, TEMPLATE_TARGET, BODY_TARGET]
