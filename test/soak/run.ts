/** `make soak`: COUNT= requests (10,000), SEED= (a new one, printed), SECONDS= at most (1,200). */
import { tmpdir } from "node:os"
import { executable } from "../e2e/executable.ts"
import { startServerProcess } from "../e2e/server-process.ts"
import { fixture } from "../fixtures.ts"
import { soak } from "./soak.ts"
import { SOAK_FLAGS } from "./flags.ts"

const model = fixture("models/llama")
const path = executable()
if (model === null || path === null) process.exit(1)

const seed = Number(process.env["SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0])
const count = Number(process.env["COUNT"] ?? 10_000)
const seconds = Number(process.env["SECONDS"] ?? 1200)
console.log(`SEED=${seed} COUNT=${count}`)
const env = { HOME: process.env["HOME"] ?? tmpdir() }
const server = await startServerProcess([path, "serve", model, ...SOAK_FLAGS], { cwd: tmpdir(), env })
const report = await soak({ url: server.url, pid: server.pid, count, seed, seconds }).catch(async (error: unknown) => {
  await server.stop("SIGKILL")
  throw error
})
console.log(JSON.stringify(report, null, 1))
const code = await server.stop()
// Garbage comes and goes, tens of MiB of it: what stays is seen where the least is in use.
const quarter = Math.floor(report.memory.length / 4)
const growth = Math.min(...report.memory.slice(-quarter)) - Math.min(...report.memory.slice(quarter, 2 * quarter))
console.log(`memory grew by ${growth} MiB from the second quarter to the last; the server ended with ${code}`)
process.exit(code === 0 && growth < 32 ? 0 : 1)
