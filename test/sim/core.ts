import { PlanReader, PlanWriter } from "../../src/core/plan-codec.ts"
import { Request } from "../../src/core/request.ts"
import { Scheduler } from "../../src/core/scheduler.ts"
import type { Core } from "./simulator.ts"

export const CORE: Core = { Scheduler, Request, PlanWriter, PlanReader }
