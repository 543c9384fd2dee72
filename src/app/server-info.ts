/** The content of /server_info, and whether other machines can reach the server. */
import { availableParallelism, cpus, release, totalmem, type } from "node:os"
import type { ApiOptions } from "../api/context.ts"
import { VERSION } from "../cli/index.ts"
import type { ServeConfig } from "../cli/serve-options.ts"

/** Nobody from another machine can connect. */
export function isLocal({ host, uds }: ServeConfig): boolean {
  return uds !== null || host === "localhost" || host === "::1" || host.startsWith("127.")
}

/** For /server_info. Keys are left out, wherever they come from. */
export function serverInfo({ apiKey, ...config }: ServeConfig): ApiOptions["serverInfo"] {
  const variables = Object.entries(process.env).filter(([name]) => /^(BAOZI|VLLM|OMP)_/.test(name) && !/KEY/.test(name))
  return {
    config: { ...config, apiKey: apiKey.length },
    env: Object.fromEntries(variables),
    system: {
      baozi_version: VERSION, bun_version: Bun.version, platform: process.platform, arch: process.arch,
      os: `${type()} ${release()}`, cpu: cpus()[0]?.model.trim() ?? null, num_cpus: availableParallelism(),
      memory_bytes: totalmem(), pid: process.pid,
    },
  }
}
