import * as Encoding from "effect/Encoding"

/** What stands in a text where a secret stood. */
export const mask = "[redacted]"

/** Shorter texts are not looked for: replacing every "a" would tell more than it hides. */
const shortest = 4

const variants = (secret: string): ReadonlyArray<string> => {
  // A secret of several lines is printed a line at a time, with whatever the printer puts between them.
  const parts = [secret, secret.trim(), ...secret.split(/\r?\n/).map((line) => line.trim())]
  return parts.flatMap((part) => [
    part,
    part.replaceAll(",", "%!(PACKER_COMMA)").replaceAll("\r", "\\r").replaceAll("\n", "\\n"),
    JSON.stringify(part).slice(1, -1),
    encodeURIComponent(part.replaceAll(/\p{Surrogate}/gu, "")),
    Encoding.encodeBase64(part).replace(/=+$/, "")
  ])
}

/**
 * Takes secrets out of texts, also where they were escaped (Packer's wire format, JSON, URL, base64).
 * @category redaction
 */
export interface Redactor {
  /** A whole text, in which no secret is cut in two. */
  readonly text: (text: string) => string
  /**
   * A stream of texts, whose secrets may be cut anywhere: `push` gives what is safe to show and keeps the rest,
   * `flush` gives the rest.
   */
  readonly stream: () => { readonly push: (text: string) => string; readonly flush: () => string }
}

const escaped = (needle: string) => needle.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/**
 * A redactor of these secrets; those shorter than four characters are left alone.
 * @category redaction
 */
export const make = (secrets: Iterable<string>): Redactor => {
  const needles = [...new Set([...secrets].flatMap(variants))]
    .filter((needle) => needle.length >= shortest)
    .sort((a, b) => b.length - a.length)
  const longest = needles[0]?.length ?? 0
  if (longest === 0)
    return { text: (whole) => whole, stream: () => ({ push: (piece) => piece, flush: () => "" }) }
  const any = new RegExp(needles.map(escaped).join("|"), "g")
  const text = (whole: string) => whole.replaceAll(any, mask)

  // The first place from `from` up to `to` where what is left could be the beginning of a secret, else `to + 1`.
  const firstOpen = (whole: string, from: number, to: number) => {
    let at = Math.max(from, whole.length - longest + 1)
    while (
      at <= to &&
      !needles.some((needle) => needle.length > whole.length - at && needle.startsWith(whole.slice(at)))
    )
      at++
    return Math.max(at, from)
  }
  const split = (whole: string): readonly [safe: string, kept: string] => {
    let safe = ""
    let from = 0
    for (const match of whole.matchAll(any)) {
      const open = firstOpen(whole, from, match.index)
      if (open <= match.index) return [safe + whole.slice(from, open), whole.slice(open)]
      safe += whole.slice(from, match.index) + mask
      from = match.index + match[0].length
    }
    const open = Math.min(firstOpen(whole, from, whole.length - 1), whole.length)
    return [safe + whole.slice(from, open), whole.slice(open)]
  }
  return {
    text,
    stream: () => {
      let kept = ""
      return {
        push: (piece) => {
          const [safe, rest] = split(kept + piece)
          kept = rest
          return safe
        },
        flush: () => {
          const rest = text(kept)
          kept = ""
          return rest
        }
      }
    }
  }
}
