import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Wire from "../../src/packer/wire/Wire.js"
import { encode, lines, names, versions } from "./packerOutput.js"

const again = (record: Wire.WireRecord): string => {
  const join = (target: string, type: string, ...data: ReadonlyArray<string>) =>
    [record._tag === "Text" ? "" : record.time / 1000, target, type, ...data.map(encode)].join(",")
  switch (record._tag) {
    case "Text":
      return record.text
    case "Ui":
      return join("", "ui", record.kind, record.text)
    case "ErrorRecord":
      return join(record.target, "error", record.text)
    case "ArtifactField":
      return record.field === "end" || record.field === "nil"
        ? join(record.build, "artifact", `${record.index}`, record.field)
        : join(record.build, "artifact", `${record.index}`, record.field, record.value)
    case "Version":
      return join("", record.part === "version" ? "version" : "version-prelease", record.value)
    case "TemplateVariable":
      return join("", "template-variable", record.name, record.default, record.required ? "1" : "0")
    case "TemplateBuilder":
      return join("", "template-builder", record.name, record.type)
    case "Other":
      return join(record.target, record.type, ...record.data)
  }
}

describe("the wire format", () => {
  for (const version of versions) {
    it(`is read without loss in all lines of Packer ${version}`, () => {
      const tags = new Set<string>()
      const others = new Set<string>()
      for (const name of names(version)) {
        for (const line of lines(version, name)) {
          const record = Wire.parse(line)
          tags.add(record._tag)
          if (record._tag === "Other") others.add(record.type)
          // Only the number of a file within its artifact is dropped.
          expect(again(record), name).toBe(line.replace(/,file,\d+,/, ",file,"))
        }
      }
      expect([...tags].sort()).toEqual([
        "ArtifactField",
        "ErrorRecord",
        "Other",
        "TemplateBuilder",
        "TemplateVariable",
        ...(version === "1.6.6" ? ["Text"] : []),
        "Ui",
        "Version"
      ])
      expect([...others].sort()).toEqual([
        "artifact-count",
        "error-count",
        "template-provisioner",
        "version-commit"
      ])
    })
  }

  it("has escapes in data, and times in seconds", () => {
    expect(
      Wire.parse("1795427398,,ui,say,==> qemu: Starting VM%!(PACKER_COMMA) booting\\ndisk\\rimage")
    ).toEqual({
      _tag: "Ui",
      time: 1795427398000,
      kind: "say",
      text: "==> qemu: Starting VM, booting\ndisk\rimage"
    })
  })

  it("has the same form for a line feed and for a backslash and an n", () => {
    const text = "C:\\new"
    expect(Wire.parse(`1,,ui,say,${encode(text)}`)).toMatchObject({ text: "C:\new" })
  })

  it("has records of artifacts", () => {
    const read = (data: string) => Wire.parse(`1,b,artifact,${data}`)
    const common = { _tag: "ArtifactField", time: 1000, build: "b" }
    expect(read("0,builder-id,transcend.qemu")).toEqual({
      ...common,
      index: 0,
      field: "builder-id",
      value: "transcend.qemu"
    })
    expect(read("2,file,1,out/x%!(PACKER_COMMA)y")).toEqual({
      ...common,
      index: 2,
      field: "file",
      value: "out/x,y"
    })
    expect(read("2,id,")).toEqual({ ...common, index: 2, field: "id", value: "" })
    expect(read("1,nil")).toEqual({ ...common, index: 1, field: "nil", value: "" })
    expect(read("1,end")).toEqual({ ...common, index: 1, field: "end", value: "" })
  })

  it("has records of inspect, with commas and line feeds in defaults", () => {
    expect(Wire.parse("1,,template-variable,def,a%!(PACKER_COMMA)b\\nc,0")).toEqual({
      _tag: "TemplateVariable",
      time: 1000,
      name: "def",
      default: "a,b\nc",
      required: false
    })
    expect(Wire.parse("1,,template-variable,must,,1")).toMatchObject({
      name: "must",
      default: "",
      required: true
    })
    expect(Wire.parse("1,,template-builder,my%!(PACKER_COMMA)build,null")).toEqual({
      _tag: "TemplateBuilder",
      time: 1000,
      name: "my,build",
      type: "null"
    })
  })

  it("may have a comma in the target, if the build is known; the longest name wins", () => {
    const line = "1795459406,my,build,artifact-count,3"
    expect(Wire.parse(line)).toMatchObject({ _tag: "Other", target: "my", type: "build" })
    expect(Wire.parse(line, { builds: ["my", "my,build"] })).toEqual({
      _tag: "Other",
      time: 1795459406000,
      target: "my,build",
      type: "artifact-count",
      data: ["3"]
    })
    expect(Wire.parse("1,a,b,c,error,x", { builds: ["a,b", "a,b,c"] })).toMatchObject({
      target: "a,b,c",
      text: "x"
    })
    expect(Wire.parse("1,other,error,x", { builds: ["my,build"] })).toMatchObject({
      target: "other",
      text: "x"
    })
  })

  it("has Other for unknown records, and Text for lines that are no record", () => {
    expect(Wire.parse("1,b,region,eu%!(PACKER_COMMA)west")).toEqual({
      _tag: "Other",
      time: 1000,
      target: "b",
      type: "region",
      data: ["eu,west"]
    })
    for (const odd of [
      "1,,ui,shout,x",
      "1,,ui,say",
      "1,b,artifact,many,end",
      "1,b,artifact,0,colour,red",
      "1,b,artifact,0,file,0"
    ]) {
      expect(Wire.parse(odd)._tag, odd).toBe("Other")
    }
    for (const text of [
      "",
      "1",
      "1,",
      "1,a",
      "1,a,",
      "x,,ui,say,y",
      "1,,Not a type,x",
      "panic: oh, no",
      " 1,,ui,say,x"
    ]) {
      expect(Wire.parse(text), text).toEqual({ _tag: "Text", text })
    }
  })

  it("can be read from any line", () => {
    const line = FastCheck.oneof(
      FastCheck.string({ unit: "binary", maxLength: 200 }),
      FastCheck.string().map((text) => `1,,ui,say,${text}`),
      FastCheck.array(
        FastCheck.constantFrom(",", "1", "ui", "say", "artifact", "end", "\0", "\\n", "%!(PACKER_COMMA)", "b")
      ).map((parts) => parts.join(""))
    )
    FastCheck.assert(
      FastCheck.property(line, FastCheck.array(FastCheck.string()), (text, builds) => {
        const record = Wire.parse(text, { builds })
        expect(record._tag === "Text" ? record.text === text : Number.isSafeInteger(record.time)).toBe(true)
      })
    )
  })

  it("can be read from a line of a megabyte, in any form", () => {
    for (const part of ["x", "\0", ",", "\\n", "%!(PACKER_COMMA)", "1,"]) {
      const text = part.repeat(Math.ceil(1_000_000 / part.length))
      expect(Wire.parse(`1,,ui,say,${text}`)._tag).toBe("Ui")
      expect(Wire.parse(text)._tag).toBe("Text")
    }
  })

  it("keeps any text without a backslash", () => {
    const text = FastCheck.string({ unit: "binary" }).filter((value) => !/\\|%!\(PACKER_COMMA\)/.test(value))
    FastCheck.assert(
      FastCheck.property(text, (value) => {
        expect(Wire.parse(`7,,ui,error,${encode(value)}`)).toEqual({
          _tag: "Ui",
          time: 7000,
          kind: "error",
          text: value
        })
      })
    )
  })

  it("is read the same from a line in pieces, wherever it is cut", () => {
    const part = FastCheck.constantFrom(
      ",",
      "\\",
      "n",
      "\\n",
      "%",
      "%!(",
      "%!(PACKER_COMMA)",
      "PACKER_COMMA)",
      "x"
    )
    const data = FastCheck.array(part, { maxLength: 8 }).map((parts) => parts.join(""))
    const cuts = FastCheck.array(FastCheck.nat({ max: 60 }), { maxLength: 4 })
    const textOf = (record: Wire.WireRecord) =>
      record._tag === "Ui" || record._tag === "Text" ? record.text : ""
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom("1,,ui,say,", "no record "),
        data,
        cuts,
        (start, text, at) => {
          const whole = `${start}${text}`
          const places = at
            .map((cut) => start.length + cut)
            .filter((cut) => cut < whole.length)
            .sort((a, b) => a - b)
          const pieces = [...places, whole.length].map((end, index) =>
            whole.slice(places[index - 1] ?? 0, end)
          )
          let state = Wire.lineStart
          const read = pieces.map((piece, index) => {
            const [next, record] = Wire.parsePiece(state, {
              text: piece,
              complete: index === pieces.length - 1
            })
            state = next
            return textOf(record)
          })
          expect(read.join("")).toBe(textOf(Wire.parse(whole)))
          expect(state).toEqual(Wire.lineStart)
        }
      )
    )
  })
})
