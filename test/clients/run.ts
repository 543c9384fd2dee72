/**
 * `make clients`: programs and libraries that people use finish a task against dist/baozi, in a network namespace with
 * nothing but loopback. Prints a line a client, and ends with 1 where one failed. The logs of servers and clients are
 * left in build/clients/logs/<client>.
 *
 *     bun test/clients/run.ts [CLIENT...]      all, or those named
 */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { executable } from "../e2e/executable.ts"
import { aider } from "./agents/aider.ts"
import { codex } from "./agents/codex.ts"
import { opencode } from "./agents/opencode.ts"
import { qwenCode } from "./agents/qwen-code.ts"
import type { Client } from "./client.ts"
import { install, installNode, nodePath } from "./install.ts"
import { writeScriptedModel } from "./model.ts"
import { LIBRARIES } from "./sdk.ts"
import { runTask, type Places } from "./session.ts"

const ROOT = resolve(import.meta.dir, "../../build/clients")
const CLIENTS: readonly Client[] = [...LIBRARIES, codex, opencode, qwenCode, aider]
/** Says that this process is in the namespace; its value is the JSON of `Places`. */
const INSIDE = "BAOZI_CLIENTS_INSIDE"

function chosen(names: readonly string[]): readonly Client[] {
  const unknown = names.filter((name) => !CLIENTS.some((client) => client.name === name))
  if (unknown.length > 0)
    throw new Error(`no client ${unknown.join(", ")}; there are ${CLIENTS.map(({ name }) => name).join(", ")}`)
  return names.length === 0 ? CLIENTS : CLIENTS.filter(({ name }) => names.includes(name))
}

/** Installs what is missing, and runs this file again in a namespace of its own. Resolves with its exit code. */
async function outside(): Promise<number> {
  const path = executable()
  if (path === null) return 1
  const namespace = ["unshare", "--net", "--map-root-user", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
  if (Bun.which("unshare") === null || Bun.spawnSync([...namespace, "true"]).exitCode !== 0) {
    console.log("SKIPPED: no network namespace can be made here (unshare --net --map-root-user, ip link set lo up)")
    return 0
  }
  const nodeFailure = installNode(ROOT)
  const clients = chosen(process.argv.slice(2)).filter((client) => {
    const failure = (client.registry === "npm" ? nodeFailure : null) ?? install(ROOT, client)
    if (failure !== null) report("SKIPPED", client, failure)
    return failure === null
  })
  if (clients.length === 0) return 0
  const places: Places = { executable: path, root: ROOT, model: resolve(ROOT, "model"), node: nodePath(ROOT) }
  writeScriptedModel(places.model)
  const names = clients.map(({ name }) => name)
  const env = { ...process.env, [INSIDE]: JSON.stringify(places) }
  const command = [...namespace, process.execPath, import.meta.path, ...names]
  return Bun.spawn(command, { env, stdio: ["ignore", "inherit", "inherit"] }).exited
}

async function inside(places: Places): Promise<number> {
  const others = readFileSync("/proc/net/dev", "utf8").split("\n").slice(2)
    .map((line) => line.split(":")[0]!.trim()).filter((name) => name !== "" && name !== "lo")
  if (others.length > 0) throw new Error(`the namespace has more than loopback: ${others.join(", ")}`)
  let numFailed = 0
  for (const client of chosen(process.argv.slice(2))) {
    const start = performance.now()
    try {
      const { done, log } = await runTask(client, places)
      const seconds = ((performance.now() - start) / 1000).toFixed(1)
      report("ok", client, `${done} (${log.requests.length} requests, ${seconds} s)`)
      for (const warning of log.warnings) console.log(`          ${warning}`)
    } catch (error) {
      numFailed++
      report("FAILED", client, (error as Error).message)
    }
  }
  return numFailed === 0 ? 0 : 1
}

function report(outcome: "ok" | "FAILED" | "SKIPPED", { name, packages }: Client, words: string): void {
  console.log(`${outcome.padEnd(8)}${name} (${packages.join(" ")}): ${words}`)
}

const places = process.env[INSIDE]
process.exit(places === undefined ? await outside() : await inside(JSON.parse(places) as Places))
