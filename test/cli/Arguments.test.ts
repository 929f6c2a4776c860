import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { parse, type Verbs } from "../../src/cli/Arguments.js"
// The flags of all verbs are known once the verbs are.
import "../../src/cli/main.js"

const verbs: Verbs = {
  create: [],
  list: [],
  ls: [],
  show: [],
  logs: [],
  exec: [],
  profile: ["list", "show", "validate"]
}

const parsed = (...argv: ReadonlyArray<string>) => Either.getOrThrow(parse(argv, verbs))
const words = (...argv: ReadonlyArray<string>) => parsed(...argv).words
const refused = (...argv: ReadonlyArray<string>) => {
  const { hint, message, reason } = Either.getOrThrow(Either.flip(parse(argv, verbs)))
  return { reason, message, hint }
}
const usage = (message: string, hint: string) => ({ reason: "usage", message, hint })

describe("arguments in any order", () => {
  it("are split into global options, the verb, its flags and its arguments", () => {
    const ordered = ["--profiles", "p", "create", "--profile", "x", "-i", "a=b", "--detach"]
    expect(words("create", "--profile", "x", "-i", "a=b", "--detach", "--profiles", "p")).toEqual(ordered)
    expect(words("--profiles", "p", "create", "--profile", "x", "-i", "a=b", "--detach")).toEqual(ordered)
    expect(words("--profile", "x", "-i", "a=b", "create", "--detach", "--profiles", "p")).toEqual(ordered)
  })

  it("may have the argument before the flags, and a verb below a verb", () => {
    expect(words("logs", "demo", "--tail", "5", "-f")).toEqual(["logs", "--tail", "5", "-f", "demo"])
    expect(words("--json", "profile", "show", "base")).toEqual(["profile", "show", "--json", "base"])
    expect(words("profile", "--json", "show", "base")).toEqual(["profile", "show", "--json", "base"])
  })

  it("may be empty, or flags alone", () => {
    expect(words()).toEqual([])
    expect(words("--version")).toEqual(["--version"])
    expect(words("--help", "create")).toEqual(["create", "--help"])
    expect(words("profile")).toEqual(["profile"])
  })

  it("keep flags, values and arguments together in any mix", () => {
    const parts = [["--profile", "x"], ["-i", "a=b"], ["-i", "c=--d"], ["--dry-run"], ["--no-color"]]
    const order = FastCheck.shuffledSubarray([...parts.keys()], { minLength: parts.length })
    FastCheck.assert(
      FastCheck.property(order, FastCheck.nat({ max: parts.length }), (at, verbAt) => {
        const mixed = at.map((index) => parts[index] ?? [])
        const given = words(...mixed.slice(0, verbAt).flat(), "create", ...mixed.slice(verbAt).flat())
        expect(given.slice(0, 2)).toEqual(["--no-color", "create"])
        expect([...given].sort()).toEqual(["create", ...parts.flat()].sort())
        for (const part of parts) expect(given.join("\0")).toContain(part.join("\0"))
      })
    )
  })
})

describe("help", () => {
  it("replaces everything else when it is asked for", () => {
    expect(words("-h")).toEqual(["--help"])
    expect(words("create", "x", "--detach", "-h", "--profiles", "p")).toEqual(["create", "--help"])
    expect(words("profile", "show", "--help")).toEqual(["profile", "show", "--help"])
    expect(words("exec", "demo", "--", "ls", "--help")).toEqual(["exec", "--", "demo", "ls", "--help"])
  })
})

describe("the value of a flag", () => {
  it("follows the flag, or an equals sign", () => {
    expect(words("create", "--profile=x", "--name=a=b", "--ttl=")).toEqual([
      "create",
      "--profile",
      "x",
      "--name",
      "a=b",
      "--ttl",
      ""
    ])
    expect(words("create", "-i", "key=a b", "-i", "")).toEqual(["create", "-i", "key=a b", "-i", ""])
  })

  it("may begin with a dash", () => {
    expect(words("create", "--name", "-x", "-i", "--a=b")).toEqual(["create", "--name", "-x", "-i", "--a=b"])
  })

  it("is reported as missing if nothing or the next flag follows", () => {
    const missing = usage("--profile needs a value", "write it behind: --profile VALUE")
    expect(refused("create", "--profile")).toEqual(missing)
    expect(refused("create", "--profile", "--detach")).toEqual(missing)
    expect(refused("create", "--profile", "-i", "a=b")).toEqual(missing)
    expect(refused("-i")).toMatchObject({ message: "-i needs a value" })
  })

  it("is not taken by a boolean flag", () => {
    expect(refused("create", "--detach=false")).toEqual(
      usage("--detach takes no value", "write --detach alone, or leave it out")
    )
  })

  it("is checked if the allowed values are known", () => {
    expect(refused("list", "-o", "jsn")).toEqual(usage('-o: got "jsn"', "did you mean json?"))
    expect(refused("list", "--output=frobnicate")).toEqual(
      usage('--output: got "frobnicate"', "it takes table, json, yaml, name, ndjson")
    )
    expect(refused("list", "--log-level", "loud").message).toBe('--log-level: got "loud"')
    expect(refused("logs", "--tail", "all", "x")).toEqual(
      usage('--tail: got "all"', "it takes a whole number")
    )
    expect(words("logs", "--tail", "-5", "x")).toEqual(["logs", "--tail", "-5", "x"])
  })
})

describe("a flag that is given twice", () => {
  it("is an error if a value would be lost, under either of its names", () => {
    expect(refused("create", "--name", "a", "--name", "b")).toEqual(
      usage("--name is given twice", "give it once")
    )
    expect(refused("create", "--profile", "a", "-p", "b").message).toBe("-p is given twice")
    expect(refused("--profiles", "a", "list", "--profiles", "b").message).toBe("--profiles is given twice")
  })

  it("is a list if the flag can be repeated", () => {
    expect(words("create", "-i", "a=1", "--input", "a=2")).toEqual(["create", "-i", "a=1", "--input", "a=2"])
    expect(words("list", "-q", "--quiet", "-q")).toEqual(["list", "-q"])
  })
})

describe("after two dashes", () => {
  it("everything is an argument", () => {
    expect(words("exec", "demo", "--", "ls", "-l", "--", "--detach")).toEqual([
      "exec",
      "--",
      "demo",
      "ls",
      "-l",
      "--",
      "--detach"
    ])
    expect(words("exec", "--json", "demo", "--", "ls")).toEqual(["exec", "--json", "demo", "ls"])
  })

  it("a lone dash is always an argument", () => {
    expect(words("exec", "demo", "-")).toEqual(["exec", "--", "demo", "-"])
  })
})

describe("an unknown word", () => {
  it("gets the nearest known one as a suggestion", () => {
    expect(refused("creat")).toEqual(usage("unknown command creat", "did you mean create?"))
    expect(refused("profile", "lst")).toEqual(usage("unknown command profile lst", "did you mean list?"))
    expect(refused("create", "--profle", "x")).toEqual(
      usage("unknown option --profle", "did you mean --profile?")
    )
    expect(refused("create", "--detatch=1").message).toBe("unknown option --detatch")
  })

  it("refers to --help if nothing is near", () => {
    const help = "`sandboxer --help` shows what there is"
    expect(refused("frobnicate")).toEqual(usage("unknown command frobnicate", help))
    expect(refused("--frobnicate")).toEqual(usage("unknown option --frobnicate", help))
    expect(refused("profile", "frobnicate")).toEqual(
      usage("unknown command profile frobnicate", "it takes list, show, validate")
    )
  })

  it.each(["constructor", "toString", "__proto__", "hasOwnProperty"])(
    "may be named like a property of an object: %s",
    (name) => {
      expect(refused(name).message).toBe(`unknown command ${name}`)
      expect(refused(name, "x").message).toBe(`unknown command ${name}`)
      expect(refused("profile", name).message).toBe(`unknown command profile ${name}`)
      expect(refused(`--${name}`).message).toBe(`unknown option --${name}`)
    }
  )
})

describe("global options", () => {
  it("are read at any place", () => {
    expect(parsed("list").globals).toEqual({ noColor: false, debug: false })
    expect(
      parsed("list", "--config=c.yaml", "--no-color", "--profiles", "p", "--log-level", "debug").globals
    ).toEqual({ profiles: "p", config: "c.yaml", noColor: true, debug: true })
    expect(parsed("--log-level", "info", "list").globals.debug).toBe(false)
  })

  it("are not read from the arguments of exec's command", () => {
    expect(parsed("exec", "demo", "--", "--no-color", "--profiles", "p").globals).toEqual({
      noColor: false,
      debug: false
    })
    expect(parsed("create", "-i", "--profiles=p").globals).toEqual({ noColor: false, debug: false })
  })
})
