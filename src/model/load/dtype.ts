// The one name that loaders need of the layers below.
export type { DType } from "../../../ffi/abi.ts"
