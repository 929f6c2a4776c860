import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { isForward, type PhaseName } from "../../src/domain/Phase.js"
import * as BuildEvents from "../../src/packer/wire/BuildEvents.js"
import * as Wire from "../../src/packer/wire/Wire.js"
import { lines, manifest, names, prefixed, ui, type Version, versions } from "./packerOutput.js"

type Events = ReadonlyArray<BuildEvents.PackerEvent>
type Tagged<Tag> = Extract<BuildEvents.PackerEvent, { _tag: Tag }>

const run = (
  input: ReadonlyArray<string>,
  builds: ReadonlyArray<string>
): readonly [BuildEvents.DecoderState, Events] => {
  let state = BuildEvents.initial(builds)
  const events: Array<BuildEvents.PackerEvent> = []
  for (const line of input) {
    const [next, more] = BuildEvents.step(state, Wire.parse(line, { builds }))
    state = next
    events.push(...more)
  }
  return [state, events]
}

const eventsOf = (input: ReadonlyArray<string>, builds: ReadonlyArray<string>): Events =>
  run(input, builds)[1]

const only = <Tag extends BuildEvents.PackerEvent["_tag"]>(
  events: Events,
  tag: Tag
): ReadonlyArray<Tagged<Tag>> => events.filter((event): event is Tagged<Tag> => event._tag === tag)

const phasesOf = (events: Events, build: string): ReadonlyArray<PhaseName> =>
  only(events, "Phase").flatMap((event) => (event.build === build ? [event.phase] : []))

const buildsOf = (name: string): ReadonlyArray<string> =>
  name.startsWith("hcl2") ? ["demo.null.n", "demo.file.f"] : ["qemu"]

const transcript = (version: Version, name: string): Events => eventsOf(lines(version, name), buildsOf(name))

const builds = [
  "hcl2-only",
  "hcl2-provisioner-fails",
  "hcl2-two-builds",
  "qemu-cancelled",
  "qemu-ok",
  "qemu-provisioner-fails",
  "qemu-ssh-refused"
]

/** What is the same for all versions: no times, no output, no text that changed. */
const shape = (events: Events, build: string) => ({
  phases: phasesOf(events, build),
  finished: only(events, "BuildFinished").filter((event) => event.build === build).length,
  errored: only(events, "BuildErrored").flatMap((event) =>
    event.build === build ? [event.message.replace(".Allowed", ". Allowed")] : []
  ),
  artifacts: only(events, "Artifact").flatMap(({ time: _, ...event }) =>
    event.build === build ? [event] : []
  ),
  warnings: only(events, "Warning").map((event) => event.message)
})

const shell = "Running local shell script: /tmp/packer-shell1"

describe("the events of a transcript", () => {
  for (const name of builds) {
    it(`are the same for both versions: ${name}`, () => {
      for (const build of buildsOf(name)) {
        expect(shape(transcript("1.16.0", name), build)).toEqual(shape(transcript("1.6.6", name), build))
      }
    })
  }

  for (const version of versions) {
    it(`of Packer ${version} are complete for a build that succeeds`, () => {
      const events = transcript(version, "qemu-ok")
      expect(phasesOf(events, "qemu")).toEqual([
        "fetch",
        "create",
        "boot",
        "connect",
        "provision",
        "shutdown",
        "export",
        "post-process"
      ])
      const seconds = version === "1.6.6" ? 1795427398 : 1795443653
      expect(only(events, "Phase")[0]).toEqual({
        _tag: "Phase",
        time: seconds * 1000,
        build: "qemu",
        phase: "fetch"
      })
      expect(only(events, "BuildFinished")).toEqual([
        { _tag: "BuildFinished", time: (seconds + 11) * 1000, build: "qemu" }
      ])
      expect(only(events, "Artifact")).toEqual([
        {
          _tag: "Artifact",
          time: (seconds + 11) * 1000,
          build: "qemu",
          builderId: "transcend.qemu",
          files: ["output-tiny/tiny"]
        },
        {
          _tag: "Artifact",
          time: (seconds + 11) * 1000,
          build: "qemu",
          builderId: "packer.post-processor.checksum",
          files: ["packer_qemu_qemu_sha256.checksum"]
        }
      ])
      expect(only(events, "Warning")).toMatchObject([
        { message: expect.stringContaining("A checksum of 'none' was specified.") }
      ])
    })

    it(`of Packer ${version} have the cancellation of a build`, () => {
      const events = transcript(version, "qemu-cancelled")
      expect(only(events, "BuildErrored")).toMatchObject([{ build: "qemu", message: "Build was cancelled." }])
      expect(only(events, "Artifact")).toEqual([])
      expect(phasesOf(events, "qemu").at(-1)).toBe("provision")
    })

    it(`of Packer ${version} have the errors of builds that fail`, () => {
      const timeout = transcript(version, "qemu-ssh-refused")
      expect(phasesOf(timeout, "qemu").at(-1)).toBe("connect")
      expect(only(timeout, "BuildErrored")).toMatchObject([
        { build: "qemu", message: "Timeout waiting for SSH." }
      ])
      const two = transcript(version, "hcl2-provisioner-fails")
      expect(
        only(two, "BuildErrored")
          .map((event) => event.build)
          .sort()
      ).toEqual(["demo.file.f", "demo.null.n"])
    })

    it(`of Packer ${version} have the artifacts of the manifest`, () => {
      for (const name of ["qemu-ok", "hcl2-two-builds"]) {
        const events = transcript(version, name)
        for (const made of manifest(version, name).builds) {
          const build = name === "qemu-ok" ? made.name : `demo.${made.builder_type}.${made.name}`
          const first = only(events, "Artifact").find((event) => event.build === build)
          expect(first?.files).toEqual((made.files ?? []).map((file) => file.name))
        }
      }
    })

    it(`of Packer ${version} have one artifact for a build without files`, () => {
      expect(only(transcript(version, "hcl2-two-builds"), "Artifact")).toMatchObject([
        { build: "demo.file.f", builderId: "packer.file", files: ["out/q.raw"] },
        { build: "demo.null.n", builderId: "fnoeding.null", files: [] }
      ])
    })

    it(`of Packer ${version} are the same if a guest prints the phase of another build`, () => {
      const events = transcript(version, "hcl2-two-builds")
      expect(only(events, "Line").map((event) => event.text)).toContain(
        "==> demo.file.f: Gracefully halting virtual machine..."
      )
      for (const build of ["demo.file.f", "demo.null.n"]) {
        expect(phasesOf(events, build)).toEqual(["provision", "post-process"])
      }
    })

    it(`of Packer ${version} have every line of output, with its build`, () => {
      const said = only(transcript(version, "hcl2-only"), "Line").map(({ time: _, ...line }) => line)
      const kind = version === "1.6.6" ? "message" : "say"
      const build = "demo.file.f"
      const password = version === "1.6.6" ? "s3cret-value" : "<sensitive>"
      expect(said.slice(0, 10)).toEqual([
        { _tag: "Line", stream: "say", build, text: shell },
        { _tag: "Line", stream: kind, build, text: `the password is ${password}` },
        { _tag: "Line", stream: "error", build, text: "oops" },
        { _tag: "Line", stream: kind, build, text: "==> demo.file.f: Gracefully halting virtual machine..." },
        { _tag: "Line", stream: kind, build, text: "three" },
        { _tag: "Line", stream: kind, build, text: "café 🐧 \u001b[31mred\u001b[0m" },
        { _tag: "Line", stream: "say", build, text: "Running post-processor:  (type manifest)" },
        { _tag: "Line", stream: "say", build, text: "Running post-processor:  (type shell-local)" },
        { _tag: "Line", stream: "say", build, text: shell },
        { _tag: "Line", stream: kind, build, text: "post" }
      ])
      expect(said.slice(10, 13).map((line) => line.text.replace(/after .*/, "after"))).toEqual([
        "Build 'demo.file.f' finished after",
        "==> Wait completed after",
        "==> Builds finished. The artifacts of successful builds are:"
      ])
    })

    it(`of Packer ${version} have phases that move forward`, () => {
      for (const name of names(version)) {
        const events = transcript(version, name)
        for (const build of buildsOf(name)) {
          const phases = phasesOf(events, build)
          expect(phases.every((phase, index) => index === 0 || isForward(phases[index - 1]!, phase))).toBe(
            true
          )
        }
      }
    })
  }

  it("are the same for a JSON template and the same template in HCL2", () => {
    const printed = (build: string, postProcessor: (type: string) => string): ReadonlyArray<string> => [
      ui("say", prefixed(build, shell)),
      ui("message", prefixed(build, "hello", false)),
      ui("say", prefixed(build, postProcessor("manifest"))),
      ui("say", prefixed(build, postProcessor("shell-local"))),
      ui("say", prefixed(`${build} (shell-local)`, shell)),
      ui("message", prefixed(`${build} (shell-local)`, "post", false)),
      ui("say", `Build '${build}' finished after 12 milliseconds 81 microseconds.`),
      `1795460266,${build},artifact-count,1`,
      `1795460266,${build},artifact,0,builder-id,packer.file`,
      `1795460266,${build},artifact,0,file,0,x.raw`,
      `1795460266,${build},artifact,0,end`
    ]
    const json = eventsOf(
      printed("file", (type) => `Running post-processor: ${type}`),
      ["file"]
    )
    const hcl2 = eventsOf(
      printed("demo.file.f", (type) => `Running post-processor:  (type ${type})`),
      ["demo.file.f"]
    )
    const named = JSON.parse(
      JSON.stringify(hcl2)
        .replaceAll("demo.file.f", "file")
        .replaceAll(/: {2}\(type (\S+)\)/g, ": $1")
    )
    expect(named).toEqual(json)
    expect(json.map((event) => event._tag)).toEqual([
      "Phase",
      "Line",
      "Line",
      "Phase",
      "Line",
      "Line",
      "Line",
      "Line",
      "BuildFinished",
      "Line",
      "Artifact"
    ])
  })
})

describe("a guest", () => {
  const claims = [
    "Build 'demo' finished after 1 second.",
    "Build 'demo' errored after 1 second: no",
    "Build 'other' finished after 1 second.",
    "\\nBuild 'demo' finished after 1 second.",
    "x\\nBuild 'demo' finished after 1 second.",
    "x\\nBuild 'demo' errored after 1 second: no",
    "Cancelling build after receiving terminated",
    "Cleanly cancelled builds after being interrupted.",
    "Warning: the sky falls",
    "1795443710,demo,artifact,0,builder-id,x",
    "1795443710,demo,artifact,0,end",
    "1795443710,demo,error,no",
    "\\n1795443710,demo,error,no",
    "==> other: Converting hard drive...",
    "    other: x"
  ]
  const versionsOf = (line: string): ReadonlyArray<string> => [
    ui("say", prefixed("demo", line)),
    ui("message", prefixed("demo", line, false)),
    ui("error", prefixed("demo", line)),
    ui("say", prefixed("demo (shell-local)", line))
  ]

  const believed = (events: Events): Events =>
    events.filter(
      (event) =>
        !(event._tag === "Line" && event.build === "demo") &&
        !(event._tag === "Phase" && event.build === "demo")
    )

  it("cannot fake the end of a build, an artifact, an error, a warning or another build", () => {
    for (const claim of claims) {
      for (const line of versionsOf(claim)) {
        expect(believed(eventsOf([line], ["demo", "other"])), line).toEqual([])
        expect(believed(eventsOf([line], [])), line).toEqual([])
      }
    }
  })

  it("cannot fake them if its build is unknown", () => {
    const said = eventsOf(
      claims.map((claim) => ui("say", prefixed("stranger", claim))),
      ["demo", "other"]
    )
    expect(said.filter((event) => event._tag !== "Line" || event.build !== undefined)).toEqual([])
    const errors = eventsOf(
      claims.map((claim) => ui("error", prefixed("stranger", claim))),
      ["demo", "other"]
    )
    expect(errors.filter((event) => event._tag !== "Line" || event.build !== undefined)).toEqual([])
  })

  it("cannot fake them with any text, nor move a phase back", () => {
    const text = FastCheck.oneof(
      FastCheck.string({ unit: "binary" }),
      FastCheck.constantFrom(
        ...claims,
        "Retrieving ISO",
        "Converting hard drive...",
        "Connected to SSH!",
        "Running post-processor: x"
      )
    )
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(text),
        FastCheck.constantFrom([], ["demo"], ["demo", "other"]),
        (texts, known) => {
          const events = eventsOf(texts.flatMap(versionsOf), known)
          expect(believed(events)).toEqual([])
          const phases = phasesOf(events, "demo")
          expect(phases.every((phase, index) => index === 0 || isForward(phases[index - 1]!, phase))).toBe(
            true
          )
        }
      )
    )
  })

  it("cannot fake a phase by its output up to 1.12, nor by its stderr", () => {
    const input = [
      ui("say", "==> demo: Provisioning with shell script: x"),
      ui("message", "    demo: Converting hard drive..."),
      ui("error", "==> demo: Converting hard drive...")
    ]
    expect(phasesOf(eventsOf(input, ["demo"]), "demo")).toEqual(["provision"])
  })

  it("can move a phase forward from 1.13 on, but not back", () => {
    const input = [
      ui("say", "==> demo: Provisioning with shell script: x"),
      ui("say", "==> demo: Converting hard drive..."),
      ui("say", "==> demo: Gracefully halting virtual machine..."),
      ui("say", "==> demo: Running post-processor: manifest")
    ]
    expect(phasesOf(eventsOf(input, ["demo"]), "demo")).toEqual(["provision", "export", "post-process"])
  })

  it("has no phase once a post-processor prints anything", () => {
    const input = [
      ui("say", "==> demo (shell-local): Connected to SSH!"),
      ui("say", "==> demo: Connected to SSH!")
    ]
    expect(phasesOf(eventsOf(input, ["demo"]), "demo")).toEqual(["post-process"])
  })

  it("has no phase once its build has ended", () => {
    const input = [
      ui("say", "==> demo: Connected to SSH!"),
      ui("error", "Build 'demo' errored after 1 second: no"),
      ui("say", "==> demo: Converting hard drive...")
    ]
    expect(phasesOf(eventsOf(input, ["demo"]), "demo")).toEqual(["connect"])
  })
})

describe("overallPhase", () => {
  const overall = (...input: ReadonlyArray<string>) =>
    BuildEvents.overallPhase(run(input, ["a", "b", "never"])[0])
  const fetch = (build: string) => ui("say", `==> ${build}: Retrieving ISO`)
  const provision = (build: string) => ui("say", `==> ${build}: Provisioning with shell script: x`)

  it("is the phase of the build that has come least far", () => {
    expect(overall()).toBeUndefined()
    expect(overall(fetch("a"))).toBe("fetch")
    expect(overall(fetch("a"), provision("a"))).toBe("provision")
    expect(overall(fetch("a"), fetch("b"), provision("a"))).toBe("fetch")
    expect(overall(fetch("b"), provision("b"), fetch("a"), provision("a"))).toBe("provision")
  })

  it("ignores a build that has ended", () => {
    expect(overall(fetch("a"), provision("b"), ui("error", "Build 'a' errored after 1 second: no"))).toBe(
      "provision"
    )
    expect(overall(fetch("a"), ui("say", "Build 'a' finished after 1 second."))).toBeUndefined()
  })

  it("is unknown while a build has no phase", () => {
    expect(overall(provision("a"), ui("say", "==> b: hello"))).toBeUndefined()
    expect(overall(ui("say", "==> b: hello"), provision("a"))).toBeUndefined()
    expect(overall(ui("say", "==> b: hello"), provision("a"), provision("b"))).toBe("provision")
  })
})

describe("artifacts", () => {
  const artifact = (index: number, files: ReadonlyArray<string>, builder = "x"): ReadonlyArray<string> => [
    `1,b,artifact,${index},builder-id,${builder}`,
    `1,b,artifact,${index},id,VM`,
    `1,b,artifact,${index},files-count,${files.length}`,
    ...files.map((file, number) => `1,b,artifact,${index},file,${number},${file}`),
    `1,b,artifact,${index},end`
  ]
  const files = (...input: ReadonlyArray<ReadonlyArray<string>>) =>
    only(eventsOf(input.flat(), ["b"]), "Artifact").map((event) => event.files)

  it("have each file once, in order", () => {
    expect(
      files(artifact(0, ["z", "a", "z"]), artifact(1, ["z", "a"]), artifact(2, ["n", "a", "m"]))
    ).toEqual([
      ["z", "a"],
      ["n", "m"]
    ])
  })

  it("are reported when they are complete", () => {
    expect(files(artifact(0, ["a"]).slice(0, -1))).toEqual([])
  })

  it("are not reported if they are nil", () => {
    expect(files(["1,b,artifact,0,nil", "1,b,artifact,0,end"], artifact(1, ["a"]))).toEqual([["a"]])
  })

  it("are assigned to builds with unusual names", () => {
    const odd = ["__proto__", "constructor", "my,build"]
    const input = odd.flatMap((build) =>
      artifact(0, [`${build}.img`]).map((line) => line.replace(",b,", `,${build},`))
    )
    expect(
      only(
        eventsOf(
          input.map((line) => line.replace(",file,0,my,build", ",file,0,my%!(PACKER_COMMA)build")),
          odd
        ),
        "Artifact"
      )
    ).toMatchObject(odd.map((build) => ({ build, files: [`${build}.img`] })))
  })
})

describe("other output", () => {
  it("becomes a line with the time of the record before it, if it is no record", () => {
    expect(eventsOf(["panic: oh"], [])).toEqual([{ _tag: "Line", time: 0, stream: "say", text: "panic: oh" }])
    expect(eventsOf(["7,,error-count,1", "panic: oh"], [])).toEqual([
      { _tag: "Line", time: 7000, stream: "say", text: "panic: oh" }
    ])
  })

  it("has all lines of an error", () => {
    const message = "1 error(s) occurred:\n\n* Post-processor failed: x: y"
    expect(
      only(
        eventsOf([ui("error", `Build 'it's: odd' errored after 1 second 2 milliseconds: ${message}`)], []),
        "BuildErrored"
      )
    ).toMatchObject([{ build: "it's: odd", message }])
  })
})
