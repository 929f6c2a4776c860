import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

const seconds: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
const durationUnits: Record<string, string> = {
  ms: "ms",
  millisecond: "ms",
  s: "s",
  sec: "s",
  second: "s",
  m: "m",
  min: "m",
  minute: "m",
  h: "h",
  hour: "h",
  d: "d",
  day: "d",
  w: "w",
  week: "w"
}

const bytes = new Map([
  ["", 1],
  ["b", 1],
  ["byte", 1],
  ["bytes", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["k", 1024],
  ["m", 1024 ** 2],
  ["g", 1024 ** 3],
  ["t", 1024 ** 4],
  ["kib", 1024],
  ["mib", 1024 ** 2],
  ["gib", 1024 ** 3],
  ["tib", 1024 ** 4]
])

const aDuration = `a duration like "90 seconds", "30 minutes" or "1h30m"`
const aSize = `a size like "20 GiB", "512M" or "1.5 GB"`

/**
 * Parses a duration into seconds: "90 s", "30 seconds", "1h30m", "12 hours". A number needs a unit.
 * @category parsing
 */
export const parseDuration = (text: string): Either.Either<number, string> => {
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*/g)]
  const read = parts.map(([, amount, name = ""]) => {
    const unit = durationUnits[name.toLowerCase()] ?? durationUnits[name.toLowerCase().replace(/s$/, "")]
    return unit === undefined ? Number.NaN : Number(amount) * (seconds[unit] ?? Number.NaN)
  })
  const total = read.reduce((sum, part) => sum + part, 0)
  return parts.length > 0 && parts.map(([all]) => all).join("") === text.trim() && Number.isFinite(total)
    ? Either.right(total)
    : Either.left(aDuration)
}

/**
 * Parses a size into bytes: "20 GiB", "512M" (binary), "1.5 GB" (decimal), "4096" (bytes).
 * @category parsing
 */
export const parseSize = (text: string): Either.Either<number, string> => {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? []
  const size = Math.round(Number(amount) * (bytes.get(unit.toLowerCase()) ?? Number.NaN))
  return Number.isSafeInteger(size) ? Either.right(size) : Either.left(aSize)
}

const fromText = (
  parse: (text: string) => Either.Either<number, string>,
  expected: string,
  format: (value: number) => string
) =>
  Schema.transformOrFail(
    Schema.String.annotations({ message: () => `Expected ${expected}` }),
    Schema.NonNegative,
    {
      strict: true,
      decode: (text, _, ast) =>
        Either.mapLeft(parse(text), () => new ParseResult.Type(ast, text, `Expected ${expected}`)),
      encode: (value) => ParseResult.succeed(format(value))
    }
  )

/** @category schemas */
export const DurationSeconds = fromText(parseDuration, aDuration, (value) => `${value} s`)

/** @category schemas */
export const SizeBytes = fromText(parseSize, aSize, String)

/** A duration of so many seconds for people: "1 h 02 min", "3 min 20 s", "12 s", "0.4 s". */
export const formatDuration = (total: number): string => {
  if (total < 1) return `${total.toFixed(1)} s`
  const whole = Math.round(total)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  if (h > 0) return `${h} h ${String(m).padStart(2, "0")} min`
  return m > 0 ? `${m} min ${String(s).padStart(2, "0")} s` : `${s} s`
}

/** A size in bytes for people: "20.0 GiB", "512 B". */
export const formatSize = (size: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10))
  return power === 0 ? `${size} B` : `${(size / 1024 ** power).toFixed(1)} ${units[power]}`
}
