import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../base/errors.ts"
import type { MapFile, ModelSource } from "./checkpoint.ts"
import { openGguf } from "./gguf.ts"
import { readJsonObject } from "./json-file.ts"
import { INDEX_FILE, openSafetensors, SINGLE_FILE } from "./safetensors.ts"

/**
 * Opens the model at `path`: a directory in the Hugging Face layout, a GGUF file, or a directory that holds one.
 *
 * The files stay mapped until the checkpoint is closed. Errors: `ConfigError` saying what is missing or wrong.
 */
export function openModel(path: string, mapFile: MapFile): ModelSource {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new ConfigError(`${path} does not exist`)
  if (stat.isDirectory()) return openDirectory(path, mapFile)
  if (stat.isFile() && path.endsWith(".gguf")) return openGguf(path, mapFile)
  if (path.endsWith(".safetensors"))
    throw new ConfigError(`${path} holds weights alone; give the directory with its config.json and tokenizer`)
  throw new ConfigError(`${path} is neither a directory nor a .gguf file`)
}

function openDirectory(path: string, mapFile: MapFile): ModelSource {
  const files = readdirSync(path)
  if (files.includes(INDEX_FILE) || files.includes(SINGLE_FILE)) return openHuggingFace(path, mapFile)
  // Of a model in parts, the first stands for all.
  const ggufs = files.filter((name) => name.endsWith(".gguf") && !isLaterPart(name))
  if (ggufs.length === 1) return openGguf(join(path, ggufs[0]!), mapFile)
  if (ggufs.length > 1)
    throw new ConfigError(
      `${path} holds ${ggufs.length} GGUF models; give one of them: ${ggufs.toSorted().slice(0, 10).join(", ")}`,
    )
  throw new ConfigError(`${path} holds no weights: no ${SINGLE_FILE}, ${INDEX_FILE} or .gguf file${hintOf(files)}`)
}

function isLaterPart(name: string): boolean {
  const part = /-(\d{5})-of-\d{5}\.gguf$/.exec(name)
  return part !== null && Number(part[1]) !== 1
}

function hintOf(files: readonly string[]): string {
  const stray = files.find((name) => name.endsWith(".safetensors"))
  if (stray !== undefined) return ` (there is ${stray}, but no index that says what it holds)`
  const pickled = files.find((name) => /\.(bin|pt|pth)$/.test(name))
  return pickled === undefined ? "" : ` (${pickled} is in PyTorch's format: convert it to safetensors)`
}

function openHuggingFace(path: string, mapFile: MapFile): ModelSource {
  const configPath = join(path, "config.json")
  const config = readJsonObject(configPath)
  if (config === null) throw new ConfigError(`${configPath} is missing`)
  const generationConfig = readJsonObject(join(path, "generation_config.json")) ?? {}
  const checkpoint = openSafetensors(path, mapFile)
  return { path, kind: "safetensors", config, generationConfig, ropeInterleaved: false, ggufMetadata: null, checkpoint }
}
