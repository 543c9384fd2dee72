/** What an answer is made of. Parts come in the order of the text; neighbours of one kind are to be joined. */
export type AnswerPart =
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "content"; readonly text: string }
  /** A tool call begins: the only part that tells its name. `index` counts the answer's calls from 0. */
  | { readonly type: "call"; readonly index: number; readonly name: string }
  /** More of its arguments, which join to the JSON that the model wrote. */
  | { readonly type: "arguments"; readonly index: number; readonly text: string }

/** Adds `part` to `parts`, joined to the last one where both are of one kind. */
export function addPart(parts: AnswerPart[], part: AnswerPart): void {
  const last = parts.at(-1)
  if (last === undefined || last.type !== part.type || last.type === "call" || part.type === "call") parts.push(part)
  else parts[parts.length - 1] = { ...last, text: last.text + part.text }
}
