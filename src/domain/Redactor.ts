/** Removes secrets from text, also from a stream of pieces that cut secrets anywhere. */
import * as Encoding from "effect/Encoding"

/** Replaces a secret. */
export const mask = "[redacted]"

/** Shorter secrets are not redacted: to replace every "a" would reveal more than it hides. */
const shortest = 4

/** How a program escapes what it prints. */
export interface Escaping {
  readonly encode: (text: string) => string
  readonly decode: (text: string) => string
}

/** The forms in which a program may print a secret. */
const variants = (secret: string, escaping: Escaping): ReadonlyArray<string> =>
  // Programs print a secret of several lines line by line, with prefixes. What looks like an escape within a secret is
  // decoded with the rest of the output.
  [
    secret,
    secret.trim(),
    ...escaping
      .decode(secret)
      .split(/[\r\n]+/)
      .map((line) => line.trim())
  ]
    .filter((part) => part.length >= shortest)
    .flatMap((part) => [
      part,
      escaping.encode(part),
      JSON.stringify(part).slice(1, -1),
      encodeURIComponent(part.toWellFormed()),
      Encoding.encodeBase64(part).replace(/=+$/, "")
    ])

/**
 * Replaces secrets with a mask, also in escaped form (JSON, URL, base64, and the escaping that it was made with). Secrets
 * that overlap get one mask together.
 * @category redaction
 */
export interface Redactor {
  /** Redacts a complete text. */
  readonly text: (text: string) => string
  /**
   * Redacts a stream of pieces. `push` returns what is safe to show and keeps what may be the beginning of a secret;
   * `flush` returns the rest.
   */
  readonly stream: () => { readonly push: (text: string) => string; readonly flush: () => string }
}

/** A state of the automaton: the longest beginning of a needle that the text read so far ends with. */
interface Node {
  readonly next: Map<number, Node>
  /** The state of the next shorter beginning that the text also ends with; undefined for the root alone. */
  fallback: Node | undefined
  /** The length of the longest needle that ends here, or 0. */
  found: number
  /** How many of the last characters may belong to a needle that has not ended yet. */
  open: number
}

const makeNode = (depth: number): Node => ({ next: new Map(), fallback: undefined, found: 0, open: depth })

const step = (from: Node, character: number): Node => {
  let node = from
  while (true) {
    const next = node.next.get(character)
    if (next !== undefined) return next
    if (node.fallback === undefined) return node
    node = node.fallback
  }
}

/** The Aho-Corasick automaton of all needles: it reads a text once, however many needles there are. */
const automaton = (needles: Iterable<string>): Node => {
  const root = makeNode(0)
  for (const needle of needles) {
    let node = root
    for (let at = 0; at < needle.length; at++) {
      const character = needle.charCodeAt(at)
      const next = node.next.get(character) ?? makeNode(at + 1)
      node.next.set(character, next)
      node = next
    }
    node.found = needle.length
  }
  // Breadth first: a fallback is always nearer to the root, so it is complete when it is needed.
  const nodes = [root]
  for (const node of nodes) {
    for (const [character, next] of node.next) {
      next.fallback = node.fallback === undefined ? root : step(node.fallback, character)
      next.found = Math.max(next.found, next.fallback.found)
      if (next.next.size === 0) next.open = next.fallback.open
      nodes.push(next)
    }
  }
  return root
}

/** A range of characters to mask; `to` is exclusive. */
interface Span {
  readonly from: number
  readonly to: number
}

/** Adds a span that ends after all others, and merges those that it overlaps. */
const add = (spans: Array<Span>, span: Span): void => {
  let { from } = span
  for (let last = spans.at(-1); last !== undefined && last.to > from; last = spans.at(-1)) {
    from = Math.min(from, last.from)
    spans.pop()
  }
  spans.push({ from, to: span.to })
}

/**
 * Makes a redactor of these secrets, for the output of a program that escapes it like this. Secrets shorter than four
 * characters are left alone.
 * @category redaction
 */
export const make = (secrets: Iterable<string>, escaping: Escaping): Redactor => {
  const root = automaton([...secrets].flatMap((secret) => variants(secret, escaping)))
  const stream = () => {
    let node = root
    // Text that was read and not returned yet, as it may be the beginning of a secret. Spans are positions in it.
    let kept = ""
    let spans: Array<Span> = []
    const show = (end: number): string => {
      let shown = ""
      let at = 0
      for (const { from, to } of spans) {
        if (from >= end) break
        // The mask of a span that began in an earlier piece was returned with that piece.
        if (from >= 0) shown += kept.slice(at, from) + mask
        at = Math.min(to, end)
      }
      shown += kept.slice(at, end)
      kept = kept.slice(end)
      spans = spans
        .filter(({ to }) => to > end)
        .map(({ from, to }) => ({ from: from < end ? -1 : from - end, to: to - end }))
      return shown
    }
    return {
      push: (piece: string) => {
        const begin = kept.length
        kept += piece
        for (let at = begin; at < kept.length; at++) {
          node = step(node, kept.charCodeAt(at))
          if (node.found > 0) add(spans, { from: at + 1 - node.found, to: at + 1 })
        }
        return show(kept.length - node.open)
      },
      flush: () => {
        node = root
        return show(kept.length)
      }
    }
  }
  return {
    text: (whole) => {
      const { flush, push } = stream()
      return push(whole) + flush()
    },
    stream
  }
}
