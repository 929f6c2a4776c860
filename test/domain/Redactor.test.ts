import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { mask, make as redactorOf } from "../../src/domain/Redactor.js"
import * as Wire from "../../src/packer/wire/Wire.js"

const make = (secrets: Iterable<string>) => redactorOf(secrets, Wire)

/** A secret as it is printed: plainly, by Packer's wire format, in JSON, in a URL, in base64. */
const forms = {
  plain: (secret: string) => secret,
  wire: (secret: string) =>
    secret.replaceAll(",", "%!(PACKER_COMMA)").replaceAll("\r", "\\r").replaceAll("\n", "\\n"),
  json: (secret: string) => JSON.stringify(secret).slice(1, -1),
  url: encodeURIComponent,
  base64: (secret: string) => Buffer.from(secret).toString("base64").replace(/=+$/, "")
}

// Few characters, so that secrets overlap, repeat and contain each other; none of them is in the mask.
const character = FastCheck.constantFrom("x", "y", "z", '"', "\\", ",", "\n", "\r", " ", "/", "ü", "😀")
const secret = FastCheck.string({ unit: character, minLength: 4, maxLength: 8 })
const form = FastCheck.constantFrom(...Object.values(forms))
const noise = FastCheck.string({ unit: character, maxLength: 6 })

/** Secrets, a text that has some of them in it, and places where it is cut. */
const scene = FastCheck.array(secret, { minLength: 1, maxLength: 4 }).chain((secrets) =>
  FastCheck.tuple(
    FastCheck.constant(secrets),
    FastCheck.array(
      FastCheck.oneof(
        noise,
        FastCheck.tuple(FastCheck.constantFrom(...secrets), form).map(([one, print]) => print(one))
      ),
      { maxLength: 8 }
    ).map((parts) => parts.join("")),
    FastCheck.array(FastCheck.nat({ max: 200 }), { maxLength: 12 })
  )
)

const piecesOf = (text: string, cuts: ReadonlyArray<number>): ReadonlyArray<string> => {
  const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length]
  return places.slice(1).map((to, index) => text.slice(places[index], to))
}

const streamed = (secrets: ReadonlyArray<string>, pieces: ReadonlyArray<string>): string => {
  const { flush, push } = make(secrets).stream()
  return pieces.map(push).join("") + flush()
}

describe("for any secrets, text and pieces", () => {
  it("no secret is shown in any of its forms", () => {
    FastCheck.assert(
      FastCheck.property(scene, ([secrets, text, cuts]) => {
        const shown = streamed(secrets, piecesOf(text, cuts)).split(mask)
        const sought = secrets.flatMap((one) => Object.values(forms).map((print) => print(one)))
        expect(shown.filter((piece) => sought.some((one) => piece.includes(one)))).toEqual([])
      }),
      { numRuns: 300 }
    )
  })

  it("a stream shows the same as redacting the whole text", () => {
    FastCheck.assert(
      FastCheck.property(scene, ([secrets, text, cuts]) => {
        expect(streamed(secrets, piecesOf(text, cuts))).toBe(make(secrets).text(text))
        expect(streamed(secrets, text.split(""))).toBe(make(secrets).text(text))
      }),
      { numRuns: 300 }
    )
  })

  it("everything between the masks is unchanged", () => {
    FastCheck.assert(
      FastCheck.property(scene, ([secrets, text]) => {
        let at = 0
        for (const piece of make(secrets).text(text).split(mask)) {
          const found = text.indexOf(piece, at)
          expect(found).toBeGreaterThanOrEqual(at)
          at = found + piece.length
        }
      })
    )
  })

  it("a text without secrets is unchanged", () => {
    const text = FastCheck.string({ unit: FastCheck.constantFrom("a", "b", " ", "\n", "[", "😀") })
    const elsewhere = FastCheck.string({ unit: FastCheck.constantFrom("x", "y", "z"), minLength: 4 })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(elsewhere), text, (secrets, whole) => {
        expect(make(secrets).text(whole)).toBe(whole)
        expect(streamed(secrets, whole.split(""))).toBe(whole)
      })
    )
  })
})

describe("a secret", () => {
  it.each(Object.entries(forms))("is found in the form: %s", (_, print) => {
    const one = 'p"a\\ss, wörd\n2'
    expect(make([one]).text(`<${print(one)}>`)).toBe(`<${mask}>`)
  })

  it("of four characters is found; a shorter one is not", () => {
    expect(make(["abcd"]).text("abcd abc")).toBe(`${mask} abc`)
    const short = make(["a", "ab", "a,b", ""])
    const text = `a ab a,b ${Object.values(forms)
      .map((print) => print("a,b"))
      .join(" ")}`
    expect(short.text(text)).toBe(text)
    expect(streamed(["abc"], text.split(""))).toBe(text)
  })

  it("may contain regular expression syntax", () => {
    expect(make(["a.c*(|)$^"]).text("abcc a.c*(|)$^")).toBe(`abcc ${mask}`)
  })

  it("of several lines is found as a whole and line by line", () => {
    const key = "-----BEGIN KEY-----\nMIIE\r\n  vQIBADAN  \nab\n-----END KEY-----\n"
    const redactor = make([key])
    expect(redactor.text(`key=${key}.`)).toBe(`key=${mask}.`)
    expect(redactor.text(`key=${key.trim()}.`)).toBe(`key=${mask}.`)
    expect(redactor.text("  | MIIE\n  | vQIBADAN\n  | ab\n")).toBe(`  | ${mask}\n  | ${mask}\n  | ab\n`)
    expect(redactor.text(`{"key": ${JSON.stringify(key)}}`)).toBe(`{"key": "${mask}"}`)
  })

  it("with lines that end in a carriage return is found line by line", () => {
    expect(make(["first\rsecond"]).text("second")).toBe(mask)
  })

  it("is found at the beginning, at the end and repeatedly", () => {
    expect(make(["hunter2"]).text("hunter2 hunter2hunter2 hunter")).toBe(`${mask} ${mask}${mask} hunter`)
  })

  it("may be long without slowing the search", () => {
    const long = "k".repeat(3) + "x".repeat(50_000)
    expect(make([long]).text(`kkx ${long} kkx`)).toBe(`kkx ${mask} kkx`)
  })

  it("may contain half a surrogate pair", () => {
    expect(make(["ab\ud83dcd"]).text("ab\ud83dcd abcd")).toBe(`${mask} abcd`)
  })
})

describe("secrets that overlap", () => {
  it.each([
    ["one begins another", ["abcd", "abcdef"], "<abcdef> <abcd>", `<${mask}> <${mask}>`],
    ["one ends another", ["cdef", "abcdef"], "<abcdef> <cdef>", `<${mask}> <${mask}>`],
    ["one is within another", ["bcde", "abcdef"], "<abcdef> <bcde>", `<${mask}> <${mask}>`],
    ["one begins where another ends", ["abcdxy", "xyefgh"], "<abcdxyefgh>", `<${mask}>`],
    ["a chain of three", ["abcd", "cdef", "efgh"], "<abcdefgh>", `<${mask}>`],
    ["one is found in what another began", ["abcdefgh", "cdef"], "<abcdefX>", `<ab${mask}X>`],
    ["one repeats itself", ["aaaa"], "<aaaaaa>", `<${mask}>`]
  ])("are all masked: %s", (_, secrets, text, shown) => {
    expect(make(secrets).text(text)).toBe(shown)
    expect(streamed(secrets, text.split(""))).toBe(shown)
    expect(streamed([...secrets].reverse(), [text])).toBe(shown)
  })
})

describe("a stream", () => {
  it("holds back only what could be the beginning of a secret", () => {
    const { flush, push } = make(["hunter2"]).stream()
    expect(push("the hunter is a hunt")).toBe("the hunter is a ")
    expect(push("e")).toBe("")
    expect(push("d one, hunter2 hun")).toBe(`hunted one, ${mask} `)
    expect(flush()).toBe("hun")
  })

  it("holds back a secret that may be the beginning of a longer one", () => {
    const { flush, push } = make(["hunter2", "hunter2000"]).stream()
    expect(push("a hunter2")).toBe("a ")
    expect(push("0")).toBe("")
    expect(push("!")).toBe(`${mask}0!`)
    expect(push("hunter2") + flush()).toBe(mask)
  })

  it("starts over after a flush", () => {
    const { flush, push } = make(["hunter2"]).stream()
    expect(push("hunt") + flush() + push("er2") + flush()).toBe("hunter2")
    expect(push("hunter2")).toBe(mask)
    expect(flush()).toBe("")
  })

  it("is independent of other streams", () => {
    const redactor = make(["hunter2"])
    const [one, other] = [redactor.stream(), redactor.stream()]
    expect(one.push("hunt") + other.push("er2")).toBe("er2")
    expect(one.push("er2")).toBe(mask)
  })
})

describe("a log", () => {
  it("of 10 MB with 20 secrets is redacted, at once and line by line", () => {
    const secrets = Array.from({ length: 20 }, (_, n) => `s3cret-${n}-${"abcdef".repeat(4)}`)
    const line = `==> qemu: an ordinary line with s3cret-1 and s3cret-19-abcdefabcdef in it\n`
    const text = `${line.repeat(1000)}${secrets[7]}\n`.repeat(Math.ceil(10e6 / line.length / 1000))
    const shown = text.replaceAll(secrets[7] ?? "", mask)
    const redactor = make(secrets)
    expect(redactor.text(text) === shown).toBe(true)
    const { flush, push } = redactor.stream()
    const lines = text.split("\n").map((one) => push(one) + flush())
    expect(lines.join("\n") === shown).toBe(true)
  })
})
