import { describe, expect, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { parse, parseAllDocuments } from "yaml"
import { artifacts } from "../../src/cli/artifact/MadeArtifact.js"
import { eventKind } from "../../src/cli/events.js"
import {
  type Format,
  formats,
  type Kind,
  printable,
  printEach,
  printList,
  printOne
} from "../../src/cli/Printer.js"
import { sandboxes, sandboxesAt, sandboxInFull } from "../../src/cli/SandboxKinds.js"
import { ArtifactId } from "../../src/domain/Artifact.js"
import { Sandbox, SandboxId } from "../../src/domain/Sandbox.js"

/** What a program prints. */
const printed = (print: Effect.Effect<void>): string => {
  const lines: Array<string> = []
  const console = Effect.runSync(Console.consoleWith(Effect.succeed))
  Effect.runSync(
    Effect.withConsole(print, {
      ...console,
      log: (...texts) => Effect.sync(() => void lines.push(texts.join(" ")))
    })
  )
  return lines.map((line) => `${line}\n`).join("")
}

interface Fruit {
  readonly id: string
  readonly taste: string
}
const fruits: Kind<Fruit> = {
  kind: "Fruit",
  document: (fruit) => ({ ...fruit }),
  name: ({ id }) => id,
  columns: [
    ["id", ({ id }) => id],
    ["taste", ({ taste }) => taste]
  ]
}
const apple: Fruit = { id: "apple", taste: "sweet" }
const lemon: Fruit = { id: "lemon", taste: "sour" }

describe("one item", () => {
  it("is printed in each format", () => {
    const document = { apiVersion: "sandboxer/v1", kind: "Fruit", id: "apple", taste: "sweet" }
    const print = (format: Format) => printed(printOne(format, fruits, apple))
    expect(print("json")).toBe(`${JSON.stringify(document, null, 2)}\n`)
    expect(print("ndjson")).toBe(`${JSON.stringify(document)}\n`)
    expect(parse(print("yaml"))).toEqual(document)
    expect(print("yaml")).toMatch(/^apiVersion: sandboxer\/v1\nkind: Fruit\n/)
    expect(print("name")).toBe("apple\n")
    expect(print("table")).toBe("id     apple\ntaste  sweet\n")
  })

  it("in a table has one row for each field with a value", () => {
    const print = (taste: string) => printed(printOne("table", fruits, { id: "kiwi", taste }))
    expect(print("sour\nand sweet")).toBe("id     kiwi\ntaste  sour\n       and sweet\n")
    expect(print("-")).toBe("id  kiwi\n")
  })
})

describe("a list", () => {
  it("is printed in each format", () => {
    const items = [{ ...apple }, { ...lemon }]
    const list = { apiVersion: "sandboxer/v1", kind: "FruitList", items }
    const print = (format: Format) => printed(printList(format, fruits, [apple, lemon]))
    expect(print("json")).toBe(`${JSON.stringify(list, null, 2)}\n`)
    expect(
      print("ndjson")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
    ).toEqual(items.map((item) => ({ apiVersion: "sandboxer/v1", kind: "Fruit", ...item })))
    expect(parse(print("yaml"))).toEqual(list)
    expect(parseAllDocuments(print("yaml"))).toHaveLength(1)
    expect(print("name")).toBe("apple\nlemon\n")
    expect(print("table")).toBe("ID     TASTE\napple  sweet\nlemon  sour\n")
  })

  it("may be empty and is still a list", () => {
    const print = (format: Format) => printed(printList(format, fruits, []))
    const list = { apiVersion: "sandboxer/v1", kind: "FruitList", items: [] }
    expect(JSON.parse(print("json"))).toEqual(list)
    expect(parse(print("yaml"))).toEqual(list)
    expect(print("ndjson")).toBe("")
    expect(print("name")).toBe("")
    expect(print("table")).toBe("ID  TASTE\n")
  })

  it("in a table has one row for each item, plus the further lines of its last cell", () => {
    const odd = { id: "ki\n\twi", taste: "sour\n  and \u001b[31msweet\u001b[0m\n" }
    expect(printed(printList("table", fruits, [apple, odd]))).toBe(
      "ID     TASTE\napple  sweet\nki wi  sour\n  and sweet\n"
    )
  })

  it("may be long", () => {
    const many = Array.from({ length: 150_000 }, () => apple)
    expect(printed(printList("table", fruits, many)).length).toBe("apple  sweet\n".length * 150_001)
  })
})

describe("streamed items", () => {
  it("are one line or document each, in each format", () => {
    const print = (format: Format) => printed(printEach(format, fruits, apple))
    const document = '{"apiVersion":"sandboxer/v1","kind":"Fruit","id":"apple","taste":"sweet"}\n'
    expect(print("table")).toBe("apple  sweet\n")
    expect(print("name")).toBe("apple\n")
    expect(print("json")).toBe(document)
    expect(print("ndjson")).toBe(document)
    expect(parse(print("yaml"))).toEqual(JSON.parse(document))
  })
})

describe("text that a guest may have written", () => {
  it.each([
    ["colours", "\u001b[1;31mred\u001b[0m", "red"],
    ["the cursor", "a\u001b[2K\u001b[1A\u001b[10Db", "ab"],
    ["the window's title", "a\u001b]0;pwned\u0007b", "ab"],
    ["a link", "\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\", "text"],
    ["an escape that is cut off", "a\u001b", "a"],
    ["8-bit controls", "a\u009b31mb\u0085", "ab"],
    ["bells, backspaces, NULs, carriage returns", "a\u0007\b\0\r\u007fb", "ab"]
  ])("loses %s", (_, text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  it("keeps lines, tabs and all letters", () => {
    expect(printable("über\n\t日本 😀 – [x] \\033")).toBe("über\n\t日本 😀 – [x] \\033")
  })
})

const sandbox = new Sandbox({
  id: SandboxId.make("0123456789ab"),
  name: "demo",
  profile: "profile.demo",
  extension: "ext.demo",
  mode: "build",
  state: "provisioning",
  placement: { host: "local" },
  inputs: { cpus: 2 },
  createdAt: DateTime.unsafeMake("2024-05-06T07:08:09.123Z"),
  readyAt: null,
  endedAt: null,
  expiresAt: null,
  ttlSeconds: null,
  attempt: 1,
  phase: { name: "boot", startedAt: DateTime.unsafeMake(0), percent: null, etaSeconds: null },
  artifacts: [],
  endpoint: null,
  failure: null,
  logPath: null
})
const artifact = {
  id: ArtifactId.make("ba9876543210"),
  name: "demo.qcow2",
  path: "/srv/demo.qcow2",
  format: "qcow2",
  sizeBytes: 1024,
  sha256: "0".repeat(64),
  primary: true
}

describe("documents", () => {
  const document = <A>(kind: Kind<A>, value: A) => JSON.parse(printed(printOne("json", kind, value)))

  it("of a sandbox are its record", () => {
    expect(document(sandboxes, sandbox)).toEqual({
      apiVersion: "sandboxer/v1",
      kind: "Sandbox",
      id: "0123456789ab",
      name: "demo",
      profile: "profile.demo",
      extension: "ext.demo",
      mode: "build",
      state: "provisioning",
      placement: { host: "local" },
      inputs: { cpus: 2 },
      createdAt: "2024-05-06T07:08:09.123Z",
      readyAt: null,
      endedAt: null,
      expiresAt: null,
      ttlSeconds: null,
      attempt: 1,
      phase: { name: "boot", startedAt: "1970-01-01T00:00:00.000Z", percent: null, etaSeconds: null },
      artifacts: [],
      endpoint: null,
      failure: null,
      logPath: null
    })
  })

  it("of an artifact name its sandbox", () => {
    expect(document(artifacts, { artifact, sandbox })).toEqual({
      apiVersion: "sandboxer/v1",
      kind: "Artifact",
      ...artifact,
      sandboxId: "0123456789ab",
      sandboxName: "demo"
    })
  })

  it("of an event are numbered and have their time", () => {
    const event = {
      id: "e1",
      sandboxId: sandbox.id,
      seq: 3,
      time: DateTime.unsafeMake("2024-05-06T07:08:09Z"),
      type: "note",
      phase: null,
      message: "first line\nsecond line",
      percent: null,
      etaSeconds: null,
      data: {}
    } as const
    expect(document(eventKind, event)).toMatchObject({
      kind: "Event",
      seq: 3,
      time: "2024-05-06T07:08:09.000Z"
    })
    expect(printed(printList("table", eventKind, [event]))).toContain("first line\n")
    expect(printed(printList("table", eventKind, [event]))).not.toContain("second")
  })

  it("of a sandbox in a table leave out empty fields", () => {
    expect(printed(printOne("table", sandboxInFull, sandbox))).toBe(
      [
        "name     demo",
        "id       0123456789ab",
        "state    provisioning",
        "phase    boot",
        "profile  profile.demo",
        "created  2024-05-06T07:08:09Z",
        "mode     build (ext.demo)",
        "host     local",
        "lives    until its provision has ended",
        ""
      ].join("\n")
    )
  })

  it("of sandboxes in a list show when they expire", () => {
    const now = DateTime.unsafeMake(0)
    const ending = (seconds: number | null) =>
      new Sandbox({
        ...sandbox,
        expiresAt: seconds === null ? null : DateTime.add(now, { seconds })
      })
    const seconds = [null, -1, 59, 60, 3599, 3600, 2 * 86_400 - 1, 2 * 86_400, 30 * 86_400]
    const [titles = "", ...rows] = printed(printList("table", sandboxesAt(now), seconds.map(ending)))
      .trimEnd()
      .split("\n")
    expect(titles).toMatch(/ EXPIRES$/)
    expect(rows.map((line) => line.slice(titles.indexOf("EXPIRES")))).toEqual([
      "-",
      "now",
      "in 59 s",
      "in 1 min",
      "in 59 min",
      "in 1 h",
      "in 47 h",
      "in 2 d",
      "in 30 d"
    ])
  })

  it("have no field that depends on the format", () => {
    for (const format of formats) expect(printed(printOne(format, sandboxes, sandbox))).not.toBe("")
  })
})
