/** Safetensors checkpoints whose weights are quantized: no such format is read yet, and each is told by its name. */
import { ConfigError } from "../base/errors.ts"
import { isObject } from "./load/json-file.ts"

/** Where config.json says it: Hugging Face's key, the older one of compressed-tensors, and MLX's. */
const KEYS = ["quantization_config", "compression_config", "quantization"]

/** Methods by the name that configs give them. */
const NAMES: Readonly<Record<string, string>> = {
  gptq: "GPTQ", awq: "AWQ", fp8: "FP8", bitsandbytes: "bitsandbytes", hqq: "HQQ", aqlm: "AQLM", eetq: "EETQ",
  exl2: "EXL2", exl3: "EXL3", mxfp4: "MXFP4", nvfp4: "NVFP4", fbgemm_fp8: "FBGEMM FP8", modelopt: "ModelOpt",
  torchao: "torchao", quanto: "Quanto", quark: "Quark", vptq: "VPTQ", spqr: "SpQR", higgs: "HIGGS", bitnet: "BitNet",
  squeezellm: "SqueezeLLM",
}

/** Tensors that stand where a float checkpoint has `weight`, and the methods that write them. */
const TENSORS: readonly (readonly [suffix: string, method: string])[] = [
  ["qweight", "GPTQ or AWQ"], ["weight_packed", "compressed-tensors"], ["weight.absmax", "bitsandbytes"],
  ["q_weight", "EXL2"], ["W_q", "HQQ"],
]

/** Errors: `ConfigError` that names the method, for a config whose weights are quantized. */
export function refuseQuantized(config: Readonly<Record<string, unknown>>): void {
  const method = describeQuantization(config)
  if (method === null) return
  const key = KEYS.find((name) => isObject(config[name]))!
  throw new ConfigError(
    `the checkpoint's weights are quantized with ${method}, which is not supported. HINT: give the model's float ` +
      "weights, which --quantization int8 or int4 quantizes while they are loaded, or a GGUF file of it; where the " +
      `weights are floats all the same, --hf-overrides '{"${key}": null}' says so`,
  )
}

/** "GPTQ (4 bits, groups of 128)"; null for a checkpoint of floats. */
export function describeQuantization(config: Readonly<Record<string, unknown>>): string | null {
  const key = KEYS.find((name) => isObject(config[name]))
  if (key === undefined) return null
  const settings = config[key] as Record<string, unknown>
  if (Object.keys(settings).length === 0 || isSwitchedOff(settings)) return null
  const method = methodOf(key, settings)
  const details = [
    text(settings["format"]), text(settings["fmt"]), counted(settings["bits"] ?? settings["w_bit"], "bits"),
    counted(settings["group_size"] ?? settings["q_group_size"], "in a group"),
  ].filter((detail) => detail !== null)
  return details.length === 0 ? method : `${method} (${details.join(", ")})`
}

/** The method whose tensors stand in for `prefix.weight` in a checkpoint without it, or null. */
export function quantizationOfTensors(prefix: string, has: (name: string) => boolean): string | null {
  return TENSORS.find(([suffix]) => has(`${prefix}.${suffix}`))?.[1] ?? null
}

// What bitsandbytes writes for a model that it did not quantize.
function isSwitchedOff(settings: Readonly<Record<string, unknown>>): boolean {
  const switches = ["load_in_4bit", "load_in_8bit"].filter((name) => name in settings)
  return switches.length > 0 && switches.every((name) => settings[name] === false)
}

function methodOf(key: string, settings: Readonly<Record<string, unknown>>): string {
  const stated = text(settings["quant_method"] ?? settings["quant_type"] ?? settings["quantization_method"])
  if (stated !== null) return Object.hasOwn(NAMES, stated.toLowerCase()) ? NAMES[stated.toLowerCase()]! : stated
  if ("load_in_4bit" in settings || "load_in_8bit" in settings) return "bitsandbytes"
  if ("desc_act" in settings || "damp_percent" in settings) return "GPTQ"
  if ("zero_point" in settings) return "AWQ"
  if ("config_groups" in settings) return "compressed-tensors"
  return key === "quantization" ? "MLX" : "a method that config.json does not name"
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value.slice(0, 80) : null
}

function counted(value: unknown, unit: string): string | null {
  return typeof value === "number" ? `${value} ${unit}` : null
}
