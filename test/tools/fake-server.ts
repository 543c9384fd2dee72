/** Serves the whole API over the fake engine, as a process of its own: bun test/tools/fake-server.ts --port 0 */
import { parseArgs } from "node:util"
import { startServer } from "../../src/api/http/server.ts"
import { makeLog } from "../../src/base/log.ts"
import { makeFakeEngine } from "../fake-engine.ts"

const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } })
const log = makeLog()
const server = await startServer({ host: "127.0.0.1", port: Number(values.port), log }, makeFakeEngine().engine)
log.info(`serving the fake engine on ${server.url}`)
