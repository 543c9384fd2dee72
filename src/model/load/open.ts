import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../base/errors.ts"
import type { MapFile, ModelSource } from "./checkpoint.ts"
import { openGguf } from "./gguf.ts"
import { readJsonObject } from "./json-file.ts"
import { refuseQuantized } from "../stored-quantization.ts"
import { INDEX_FILE, openSafetensors, SINGLE_FILE } from "./safetensors.ts"

const CONFIG_FILE = "config.json"
const GGUF_NAME = /\.gguf$/i
const GGUF_MAGIC = "GGUF"

/**
 * Opens the model at `path`: a directory in the Hugging Face layout, a GGUF file, or a directory that holds one. A GGUF
 * file is one that begins as such, whatever its name.
 *
 * The files stay mapped until the checkpoint is closed. Errors: `ConfigError` saying what is missing or wrong.
 */
export function openModel(path: string, mapFile: MapFile): ModelSource {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new ConfigError(`${path} does not exist`)
  if (stat.isDirectory()) return openDirectory(path, mapFile)
  if (stat.isFile() && (GGUF_NAME.test(path) || isGguf(path))) return openGguf(path, mapFile)
  if (path.endsWith(".safetensors"))
    throw new ConfigError(`${path} holds weights alone; give the directory with its config.json and tokenizer`)
  throw new ConfigError(`${path} is neither a directory nor a GGUF file`)
}

function openDirectory(path: string, mapFile: MapFile): ModelSource {
  const files = readdirSync(path)
  if (files.includes(INDEX_FILE) || files.includes(SINGLE_FILE)) return openHuggingFace(path, mapFile)
  // Of a model in parts, the first stands for all.
  const named = files.filter((name) => GGUF_NAME.test(name))
  const ggufs = (named.length > 0 ? named : files.filter((name) => isGguf(join(path, name))))
    .filter((name) => !isLaterPart(name))
  if (ggufs.length === 1) return openGguf(join(path, ggufs[0]!), mapFile)
  if (ggufs.length > 1)
    throw new ConfigError(
      `${path} holds ${ggufs.length} GGUF models; give one of them: ${ggufs.toSorted().slice(0, 10).join(", ")}`,
    )
  // Early quantizers gave their files names of their own: what is wrong with them is not the name.
  if (files.includes(CONFIG_FILE)) refuseQuantized(readConfig(path))
  throw new ConfigError(`${path} holds no weights: no ${SINGLE_FILE}, ${INDEX_FILE} or GGUF file${hintOf(files)}`)
}

/** False for what cannot be read; the caller that opens it reports why. */
function isGguf(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false
  const head = new Uint8Array(GGUF_MAGIC.length)
  let file: number | null = null
  try {
    file = openSync(path, "r")
    readSync(file, head, 0, head.length, 0)
  } catch {
    return false
  } finally {
    if (file !== null) closeSync(file)
  }
  return Buffer.from(head).toString("latin1") === GGUF_MAGIC
}

function isLaterPart(name: string): boolean {
  const part = /-(\d{5})-of-\d{5}\.gguf$/i.exec(name)
  return part !== null && Number(part[1]) !== 1
}

function hintOf(files: readonly string[]): string {
  if (files.includes("adapter_config.json"))
    return " (it is a LoRA adapter: give the model that it was trained on, or one that it was merged into)"
  const stray = files.find((name) => name.endsWith(".safetensors"))
  if (stray !== undefined) return ` (there is ${stray}, but no index that says what it holds)`
  const pickled = files.find((name) => /\.(bin|pt|pth)$/.test(name))
  return pickled === undefined ? "" : ` (${pickled} is in PyTorch's format: convert it to safetensors)`
}

function openHuggingFace(path: string, mapFile: MapFile): ModelSource {
  const config = readConfig(path)
  const generationConfig = readJsonObject(join(path, "generation_config.json")) ?? {}
  const checkpoint = openSafetensors(path, mapFile)
  return { path, kind: "safetensors", config, generationConfig, ropeInterleaved: false, ggufMetadata: null, checkpoint }
}

/** config.json, with what quantizers wrote into a file of their own before it had a key for that. */
function readConfig(path: string): Record<string, unknown> {
  const config = readJsonObject(join(path, CONFIG_FILE))
  if (config === null) throw new ConfigError(`${join(path, CONFIG_FILE)} is missing`)
  if ((config["quantization_config"] ?? null) !== null) return config
  const apart = readJsonObject(join(path, "quantize_config.json")) ?? readJsonObject(join(path, "quant_config.json"))
  return apart === null ? config : { ...config, quantization_config: apart }
}
