/** Certificates: what the server shows, and which clients' it asks for. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"

export interface TlsFiles {
  /** PEM, the server's own certificate first. */
  readonly certFile: string
  readonly keyFile: string
  /** PEM of the authorities by whom clients must be certified; null asks clients for nothing. */
  readonly caFile: string | null
}

/** What Bun.serve takes. Errors: `ConfigError` naming the file that cannot be read or is something else. */
export function loadTls(files: TlsFiles): Bun.TLSOptions {
  const cert = readPem("--ssl-certfile", files.certFile)
  const key = readPem("--ssl-keyfile", files.keyFile)
  const certificate = checked("--ssl-certfile", files.certFile, () => new X509Certificate(cert))
  const privateKey = checked("--ssl-keyfile", files.keyFile, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new ConfigError(`--ssl-keyfile ${files.keyFile} is not the key of --ssl-certfile ${files.certFile}`)
  }
  if (files.caFile === null) return { cert, key }
  const ca = readPem("--ssl-ca-certs", files.caFile)
  checked("--ssl-ca-certs", files.caFile, () => new X509Certificate(ca))
  return { cert, key, ca, requestCert: true, rejectUnauthorized: true }
}

function readPem(flag: string, path: string): string {
  return checked(flag, path, () => readFileSync(path, "utf8"))
}

function checked<T>(flag: string, path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new ConfigError(`${flag} ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
