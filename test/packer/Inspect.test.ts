import { describe, expect, it } from "@effect/vitest"
import * as Inspect from "../../src/packer/wire/Inspect.js"
import { output, versions } from "./packerOutput.js"

/** Output of 1.6.6 with all kinds of defaults. */
const machineReadable = [
  String.raw`1795459133,,ui,say,Packer Inspect: HCL2 mode\n`,
  String.raw`1795459133,,ui,say,> input-variables:\n\nvar.boo: "false"\nvar.empty: ""\nvar.emptylist: "[]"\nvar.heredoc: "line one\n> builds:\n\n  > fake:\n\n    sources:\n\n      null.fake\n\n    provisioners:\nvar.fakevar: \"x\"\n"\nvar.list: "[\n  \"a\"%!(PACKER_COMMA)\n  \"b%!(PACKER_COMMA) c\"%!(PACKER_COMMA)\n]"\nvar.map: "{\n  \"a\" = \"1\"\n  \"b c\" = \"2\\n3\"\n}"\nvar.nested: "a \"b\"\nvar.evil: \"x\"\n> builds:\n"\nvar.nodefault: "<unknown>"\nvar.nulldef: "null"\nvar.num: "3"\nvar.quote: "a\"b\\n"\nvar.sens: "s3cret"\nvar.slash: "C:\\\\"\n\n> local-variables:\n\nlocal.loc: "one\nvar.evil: \"x\""\nlocal.lst: "[\n  \"x\"%!(PACKER_COMMA)\n]"\n`,
  String.raw`1795459133,,ui,say,> builds:\n\n  > demo:\n\n    sources:\n\n      null.n\n\n      file.f\n\n    provisioners:\n\n      shell-local\n\n    post-processors:\n\n      <no post-processor>\n\n  > second:\n\n    sources:\n\n      null.m\n\n      null.m\n\n    provisioners:\n\n      <no provisioner>\n\n    post-processors:\n\n      <no post-processor>\n\n  > <unnamed build 2>:\n\n    sources:\n\n      null.n\n\n    provisioners:\n\n      <no provisioner>\n\n    post-processors:\n\n      0:\n        manifest\n\n  > <unnamed build 3>:\n\n    sources:\n\n      virtualbox-iso.v\n\n    provisioners:\n\n      <no provisioner>\n\n    post-processors:\n\n      <no post-processor>\n`,
  ""
].join("\n")

const plain = String.raw`Packer Inspect: HCL2 mode

> input-variables:

var.heredoc: "line one\n> builds:\n\n  > fake:\nvar.fakevar: \"x\"\n"
var.must: "<unknown>"

> local-variables:


> builds:

  > demo:

    sources:

      null.n

    provisioners:

      shell-local

    post-processors:

      <no post-processor>
`

const expected = {
  variables: [
    { name: "boo", hasDefault: true },
    { name: "empty", hasDefault: true },
    { name: "emptylist", hasDefault: true },
    { name: "heredoc", hasDefault: true },
    { name: "list", hasDefault: true },
    { name: "map", hasDefault: true },
    { name: "nested", hasDefault: true },
    { name: "nodefault", hasDefault: false },
    { name: "nulldef", hasDefault: true },
    { name: "num", hasDefault: true },
    { name: "quote", hasDefault: true },
    { name: "sens", hasDefault: true },
    { name: "slash", hasDefault: true }
  ],
  builds: [
    { name: "demo.null.n", type: "null" },
    { name: "demo.file.f", type: "file" },
    { name: "second.null.m", type: "null" },
    { name: "null.n", type: "null" },
    { name: "virtualbox-iso.v", type: "virtualbox-iso" }
  ]
}

describe("Inspect", () => {
  for (const version of versions) {
    it(`reads a JSON template of Packer ${version}`, () => {
      expect(Inspect.parse(output(version, "inspect-json"))).toEqual({
        variables: [
          { name: "output_directory", hasDefault: true },
          { name: "vm_name", hasDefault: true }
        ],
        builds: [{ name: "qemu", type: "qemu" }]
      })
    })

    it(`reads an HCL2 template of Packer ${version}`, () => {
      expect(Inspect.parse(output(version, "inspect-hcl2"))).toEqual({
        variables: [
          { name: "output_directory", hasDefault: true },
          { name: "password", hasDefault: true },
          { name: "vm_name", hasDefault: true }
        ],
        builds: [
          { name: "demo.null.n", type: "null" },
          { name: "demo.file.f", type: "file" }
        ]
      })
    })

    it(`drops the defaults of Packer ${version}`, () => {
      const kept = JSON.stringify([
        Inspect.parse(output(version, "inspect-hcl2")),
        Inspect.parse(output(version, "inspect-json"))
      ])
      expect(kept).not.toMatch(/s3cret|sensitive|output-tiny|tiny/)
    })
  }

  it("skips whatever a default contains", () => {
    expect(Inspect.parse(machineReadable)).toEqual(expected)
  })

  it("reads the plain output", () => {
    expect(Inspect.parse(plain)).toEqual({
      variables: [
        { name: "heredoc", hasDefault: true },
        { name: "must", hasDefault: false }
      ],
      builds: [{ name: "demo.null.n", type: "null" }]
    })
  })

  it("skips whatever a build's description contains", () => {
    const tree = String.raw`1795460267,,ui,say,> builds:\n\n  > demo:\n\n  > Description: Builds these:\n\n    sources:\n\n      null.fake\n\n\n    sources:\n\n      null.n\n\n    provisioners:\n\n      <no provisioner>\n\n    post-processors:\n\n      <no post-processor>\n\n  > <unnamed build 1>:\n\n  > Description: Two:\n\n    sources:\n\n      null.m\n\n    provisioners:\n\n      <no provisioner>\n\n    post-processors:\n\n      <no post-processor>\n`
    expect(Inspect.parse(tree).builds.map((build) => build.name)).toEqual(["demo.null.n", "null.m"])
  })

  it("reads unusual names and required variables of a JSON template", () => {
    const text = [
      "1795459405,,template-variable,must,,1",
      "1795459405,,template-variable,def,a%!(PACKER_COMMA)b\\n> builds:\\n,0",
      "1795459405,,template-variable,empty,,0",
      "1795459405,,ui,say,  def   = a%!(PACKER_COMMA)b\\n> builds:\\n",
      "1795459405,,template-builder,it's: odd (x),null",
      "1795459405,,template-builder,my%!(PACKER_COMMA)build,null",
      "1795459405,,template-builder,{{user `def`}},null"
    ].join("\n")
    expect(Inspect.parse(text)).toEqual({
      variables: [
        { name: "must", hasDefault: false },
        { name: "def", hasDefault: true },
        { name: "empty", hasDefault: true }
      ],
      builds: [
        { name: "it's: odd (x)", type: "null" },
        { name: "my,build", type: "null" },
        { name: "{{user `def`}}", type: "null" }
      ]
    })
  })

  it("finds nothing in empty output, and accepts a default of a megabyte", () => {
    expect(Inspect.parse("")).toEqual({ variables: [], builds: [] })
    expect(Inspect.parse("Error: no such template")).toEqual({ variables: [], builds: [] })
    const long = `1,,ui,say,> input-variables:\\n\\nvar.long: "${'x\\"\\n'.repeat(200_000)}"\\nvar.next: "1"\\n`
    expect(Inspect.parse(long).variables.map((variable) => variable.name)).toEqual(["long", "next"])
  })
})
