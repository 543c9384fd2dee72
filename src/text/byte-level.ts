/**
 * The byte-level alphabet of GPT-2: every byte has one printable character, so that a vocabulary of byte strings can
 * be written as text. Printable Latin-1 stands for itself; the other 68 bytes take U+0100 onward.
 */
const CHAR_OF_BYTE: readonly string[] = buildAlphabet()
const BYTE_OF_CHAR: ReadonlyMap<string, number> = new Map(CHAR_OF_BYTE.map((char, byte) => [char, byte]))

/** Indexed by char code; -1 for a character outside the alphabet. All of the alphabet lies below U+0144. */
const BYTE_OF_CODE = Int16Array.from({ length: 0x144 }, (_, code) => BYTE_OF_CHAR.get(String.fromCharCode(code)) ?? -1)

function buildAlphabet(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad)
    return String.fromCharCode(printable ? byte : next++)
  })
}

/** The piece that stands for one byte. */
export function byteToChar(byte: number): string {
  return CHAR_OF_BYTE[byte]!
}

/** The byte that a character of the alphabet stands for, by its code; -1 for other characters. */
export function codeToByte(code: number): number {
  return code < BYTE_OF_CODE.length ? BYTE_OF_CODE[code]! : -1
}

/** The bytes a piece stands for, or null when one of its characters is not in the alphabet. */
export function pieceToBytes(piece: string): Uint8Array | null {
  const bytes = new Uint8Array(piece.length)
  for (let i = 0; i < piece.length; i++) {
    const byte = codeToByte(piece.charCodeAt(i))
    if (byte < 0) return null
    bytes[i] = byte
  }
  return bytes
}

/** `text` in the byte-level alphabet, through its UTF-8 bytes. */
export function textToPiece(text: string): string {
  let piece = ""
  for (const byte of new TextEncoder().encode(text)) piece += CHAR_OF_BYTE[byte]!
  return piece
}
