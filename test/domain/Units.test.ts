import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import {
  DurationSeconds,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SizeBytes
} from "../../src/domain/Units.js"

describe("durations", () => {
  it.each([
    ["90 s", 90],
    ["90s", 90],
    ["30 seconds", 30],
    ["1 second", 1],
    ["5 sec", 5],
    ["250 ms", 0.25],
    ["1 millisecond", 0.001],
    ["2 min", 120],
    ["2 minutes", 120],
    ["1h30m", 5400],
    ["1 h 30 min", 5400],
    ["12 hours", 43_200],
    ["1.5 h", 5400],
    ["2d", 172_800],
    ["1 week", 604_800],
    ["1 WEEK", 604_800],
    [" 10 s ", 10],
    ["0 s", 0]
  ])("parses %j", (text, seconds) => {
    expect(parseDuration(text)).toEqual(Either.right(seconds))
  })

  it.each([
    "",
    " ",
    "90",
    "s",
    "-5 s",
    "+5 s",
    "5 parsecs",
    "5 constructor",
    "5 toString",
    "1.5.5 h",
    "1,5 h",
    "1 h and 5 s",
    "5 s!",
    "1e3 s",
    `${"9".repeat(400)} s`
  ])("rejects %j with the expected form", (text) => {
    expect(parseDuration(text)).toEqual(Either.left('a duration like "90 seconds", "30 minutes" or "1h30m"'))
  })

  it("are formatted for people", () => {
    const written = [0, 0.44, 1, 12.4, 59.6, 60, 200, 3599.7, 3720, 90_000].map(formatDuration)
    expect(written).toEqual([
      "0.0 s",
      "0.4 s",
      "1 s",
      "12 s",
      "1 min 00 s",
      "1 min 00 s",
      "3 min 20 s",
      "1 h 00 min",
      "1 h 02 min",
      "25 h 00 min"
    ])
  })

  it("survive the schema's encoding", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(), (seconds) => {
        const text = Schema.encodeSync(DurationSeconds)(seconds)
        expect(Schema.decodeSync(DurationSeconds)(text)).toBe(seconds)
      })
    )
  })
})

describe("sizes", () => {
  it.each([
    ["4096", 4096],
    ["0", 0],
    ["1 b", 1],
    ["3 bytes", 3],
    ["512M", 512 * 1024 ** 2],
    ["512 m", 512 * 1024 ** 2],
    ["20 GiB", 20 * 1024 ** 3],
    ["1TiB", 1024 ** 4],
    ["1.5 GB", 1_500_000_000],
    ["1 kb", 1000],
    ["1K", 1024],
    ["0.5 KiB", 512],
    [" 7 kib ", 7168]
  ])("parses %j", (text, bytes) => {
    expect(parseSize(text)).toEqual(Either.right(bytes))
  })

  it.each([
    "",
    "GiB",
    "-1 GiB",
    "1 GiB 5 MiB",
    "5 parsecs",
    "5 constructor",
    "1.5.5 GiB",
    "9".repeat(400),
    "9999999 TiB"
  ])("rejects %j with the expected form", (text) => {
    expect(parseSize(text)).toEqual(Either.left('a size like "20 GiB", "512M" or "1.5 GB"'))
  })

  it("are formatted for people", () => {
    expect([0, 512, 1024, 1536, 20 * 1024 ** 3, 1024 ** 5].map(formatSize)).toEqual([
      "0 B",
      "512 B",
      "1.0 KiB",
      "1.5 KiB",
      "20.0 GiB",
      "1024.0 TiB"
    ])
  })
})

describe("a duration or size in a document", () => {
  const messageOf = (result: Either.Either<number, ParseResult.ParseError>) =>
    Either.match(result, {
      onLeft: (error) => ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message,
      onRight: String
    })

  it.each(["5 parsecs", 90, null, ["1 h"]])("%j is not a duration, and the error shows one", (value) => {
    expect(messageOf(Schema.decodeUnknownEither(DurationSeconds)(value))).toBe(
      'Expected a duration like "90 seconds", "30 minutes" or "1h30m"'
    )
  })

  it.each(["5 parsecs", 4096, true])("%j is not a size, and the error shows one", (value) => {
    expect(messageOf(Schema.decodeUnknownEither(SizeBytes)(value))).toBe(
      'Expected a size like "20 GiB", "512M" or "1.5 GB"'
    )
  })
})
