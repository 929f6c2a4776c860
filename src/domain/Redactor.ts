import * as Encoding from "effect/Encoding"

/** What stands in a text where a secret stood. */
export const mask = "[redacted]"

/** Shorter texts are not looked for: replacing every "a" would tell more than it hides. */
const shortest = 4

/** How a program escapes what it prints. */
export interface Escaping {
  readonly encode: (text: string) => string
  readonly decode: (text: string) => string
}

const variants = (secret: string, escaping: Escaping): ReadonlyArray<string> =>
  // A secret of several lines is printed a line at a time, with whatever the printer puts between them. What looks like
  // an escape in a secret is decoded with the rest of the output.
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
 * Masks secrets in texts, also where they are escaped (JSON, URL, base64, and the escaping that it was made with). Where
 * secrets overlap, one mask stands for all of them.
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

/** What was read so far ends with the characters that lead here: the longest such beginning of a needle. */
interface Node {
  readonly next: Map<number, Node>
  /** The next longest beginning of a needle that it ends with, too; only the root has none. */
  fallback: Node | undefined
  /** The length of the longest needle that ends here, 0 where none does. */
  found: number
  /** How many of the last characters a needle could begin with that has not ended yet. */
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

/** All needles as one automaton (Aho and Corasick's): a text is read once, however many there are. */
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
  // The nearest to the root first; those behind them are added while they are gone through.
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

/** A piece of a text that is masked: from `from`, up to `to`. */
interface Span {
  readonly from: number
  readonly to: number
}

/** Adds the span that ends last, and joins those that it overlaps. */
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
    // What was read and not shown, since it could be the beginning of a secret; spans are places in it.
    let kept = ""
    let spans: Array<Span> = []
    const show = (end: number): string => {
      let shown = ""
      let at = 0
      for (const { from, to } of spans) {
        if (from >= end) break
        // One that began before has its mask already.
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
