/** A grammar thread: checks grammars, or follows texts and makes their masks. */
import { GrammarThread } from "./grammar/grammar-thread.ts"
import type { FromGrammarThread, ToGrammarThread } from "./grammar/protocol.ts"

declare const self: Worker

const thread = new GrammarThread((message: FromGrammarThread) => self.postMessage(message))
/** The start takes a while: what comes after it waits. */
let before = Promise.resolve()

self.onmessage = ({ data }: MessageEvent<ToGrammarThread>) => {
  before = before.then(() => thread.receive(data)).catch((error: unknown) => thread.die(error))
}
