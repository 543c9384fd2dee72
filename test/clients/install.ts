/** Installs clients at their pinned versions, each into a directory of its own. What they need beside is not pinned. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Client } from "./client.ts"

type Requirements = Pick<Client, "name" | "registry" | "packages">

const NODE: Requirements = {
  name: "node", registry: "npm",
  packages: [`node-linux-${process.arch === "arm64" ? "arm64" : "x64"}@22.23.5`],
}

export function prefixOf(root: string, { name }: Pick<Client, "name">): string {
  return join(root, name)
}

/** Null, or why it cannot be had. What is there already at these versions stays. */
export function install(root: string, wanted: Requirements): string | null {
  const prefix = prefixOf(root, wanted)
  const stamp = join(prefix, ".installed")
  const text = `${wanted.packages.join("\n")}\n`
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === text) return null
  rmSync(prefix, { recursive: true, force: true })
  mkdirSync(prefix, { recursive: true })
  for (const command of commands(prefix, wanted)) {
    if (Bun.which(command[0]!) === null) return `${command[0]} is not here`
    const { exitCode, stderr } = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" })
    if (exitCode !== 0) return `\`${command.join(" ")}\` ended with ${exitCode}: ${lastLine(stderr.toString())}`
  }
  writeFileSync(stamp, text)
  return null
}

function commands(prefix: string, { registry, packages }: Requirements): string[][] {
  // Scripts of packages are not run: clients that come as executables have them in packages of their own.
  if (registry === "npm")
    return [["npm", "install", "--prefix", prefix, "--ignore-scripts", "--no-audit", "--no-fund", ...packages]]
  return [["python3", "-m", "venv", prefix], [join(prefix, "bin/pip"), "install", "--quiet", ...packages]]
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? ""
}

/** Several clients want a Node.js newer than distributions have. Null, or why it cannot be had. */
export function installNode(root: string): string | null {
  return install(root, NODE)
}

export function nodePath(root: string): string {
  return join(prefixOf(root, NODE), "node_modules", NODE.packages[0]!.split("@")[0]!, "bin/node")
}
