/** A Unix socket's file outlives a server that was killed: the next one removes it, unless somebody listens there. */
import { lstatSync, unlinkSync } from "node:fs"
import { connect } from "node:net"

export async function removeStaleSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  if (await isRefused(path)) unlinkSync(path)
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (refused: boolean): void => {
      socket.destroy()
      resolve(refused)
    }
    socket.on("connect", () => settle(false))
    socket.on("error", (error) => settle((error as NodeJS.ErrnoException).code === "ECONNREFUSED"))
  })
}
