/** What a template may be, and what may be said of it; with builders that need no machine. */
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, type Output, type RunOptions, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
  mkdirSync(join(bench.folder, "profiles"))
})
afterAll(() => bench.remove())

/** Writes a file below the bench's folder, and gives its path. */
const write = (name: string, content: string | object): string => {
  const file = join(bench.folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
  return file
}

const create = (profile: string, args: ReadonlyArray<string>, options?: RunOptions) =>
  bench.sandboxer(["create", "--profile", profile, "-i", "vm_name=vm", ...args, "-o", "json"], {
    ...options,
    env: { ...options?.env, SANDBOXER_PROFILES: join(bench.folder, "profiles") }
  })

const build = (template: string, inputs: ReadonlyArray<string>, args: ReadonlyArray<string> = []) =>
  create("profile.vm-packer-build", [
    ...["format=as-built", `packer_template=${template}`, ...inputs].flatMap((input) => ["-i", input]),
    ...args
  ])

/** The names and texts of the artifacts; the primary one is the first. */
const made = (output: Output) => {
  expect(output).toMatchObject({ exitCode: 0 })
  const { artifacts } = sandboxOf(output)
  expect(artifacts.map(({ primary }) => primary)).toEqual(artifacts.map((_, index) => index === 0))
  return artifacts.map(({ name, path }) => [name, readFileSync(path, "utf8")])
}

const names = (output: Output) => made(output).map(([name]) => name)

const filesBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(folder, name)).isFile()
  )

const hclVariable = (name: string, type: string, value: string) =>
  `variable "${name}" {\n  type = ${type}\n  default = ${value}\n}\n`
const hclFile = (name: string, content: string) =>
  `source "file" "${name}" {\n  content = "${content}"\n  target = "\${var.output_directory}/${name}.txt"\n}\n`
const hclFolder = hclVariable("output_directory", "string", '"out"')

const output = "{{user `output_directory`}}"
const jsonFile = (name: string, content: string) => ({
  type: "file",
  name,
  content,
  target: `${output}/${name}.txt`
})

describe("a template with several builds", () => {
  // Packer inspects the builds of a JSON template by their names' order, those of HCL2 as they are written.
  const kinds = [
    { kind: "JSON", prefix: "", order: ["early", "late", "other"] },
    { kind: "HCL2", prefix: "file.", order: ["other", "late", "early"] }
  ]
  const threeOf = (kind: string) =>
    kind === "JSON"
      ? write("three.json", {
          variables: { output_directory: "out" },
          builders: ["other", "late", "early"].map((name) => jsonFile(name, name))
        })
      : write(
          "three.pkr.hcl",
          `${hclFolder}${["other", "late", "early"].map((name) => hclFile(name, name)).join("")}
build {
  sources = ["source.file.other", "source.file.late", "source.file.early"]
}
`
        )

  it.each(kinds)("in $kind runs the builds that only and except select", async ({ kind, order, prefix }) => {
    const three = threeOf(kind)
    const several = (builds: ReadonlyArray<string>) =>
      builds.map((name) => [`vm-${prefix}${name}.txt`, name] as const)
    const [all, two, last, single] = await Promise.all([
      build(three, []),
      build(three, [`only=${prefix}other`, `only=${prefix}late`]),
      build(three, [`except=${prefix}${order[0]}`, `except=${prefix}${order[1]}`]),
      // HCL2 takes patterns.
      build(three, [kind === "JSON" ? "only=late" : "only=*.late"])
    ])
    expect(made(all)).toEqual(several(order))
    expect(made(two)).toEqual(several(order.filter((name) => name !== "early")))
    expect(made(last)).toEqual([["vm.txt", order[2]]])
    expect(made(single)).toEqual([["vm.txt", "late"]])
  })

  it.each(kinds)("in $kind lists the build names if only matches none", async ({ kind, order, prefix }) => {
    const { exitCode, stderr } = await build(threeOf(kind), ["only=lateish"])
    expect(exitCode).toBe(2)
    expect(stderr).toContain("There is no build to run")
    const called = order.map((name) => `${prefix}${name}`).join(", ")
    expect(stderr).toContain(`hint: Check only and except; the template's builds are ${called}.`)
  })
})

describe("a folder of HCL2 files", () => {
  beforeAll(() => {
    const variables = ["a", "b", "c", "d"]
    write(
      "folder/variables.pkr.hcl",
      `${hclFolder}${variables.map((name) => hclVariable(name, "string", '"default"')).join("")}`
    )
    write(
      "folder/build.pkr.hcl",
      `${hclFile("image", `\${var.a} \${var.b} \${var.c} \${var.d}`)}build {\n  sources = ["source.file.image"]\n}\n`
    )
    write("folder/site.auto.pkrvars.hcl", 'b = "auto"\nc = "auto"\nd = "auto"\n')
  })

  it("is a template whose variables come from *.auto.pkrvars.hcl, var_files and variables.NAME", async () => {
    write("work/first.pkrvars.hcl", 'b = "work"\nc = "first"\nd = "first"\n')
    write("work/second.pkrvars.json", { c: "second", d: "second" })
    write("profiles/first.pkrvars.hcl", 'b = "profile"\n')
    write("profiles/folder.yaml", {
      id: "profile.folder",
      description: "A folder as the template",
      extends: "profile.vm-packer-build",
      inputs: {
        format: { default: "as-built" },
        packer_template: { default: "../folder" },
        var_files: { default: ["first.pkrvars.hcl"] }
      }
    })
    const given = ["var_files=first.pkrvars.hcl", "var_files=second.pkrvars.json", "variables.d=given"]
    const cwd = join(bench.folder, "work")
    const [here, profile] = await Promise.all([
      create(
        "profile.folder",
        given.flatMap((input) => ["-i", input]),
        { cwd }
      ),
      create("profile.folder", [], { cwd })
    ])
    expect(made(here)).toEqual([["vm.txt", "default work second given"]])
    expect(made(profile)).toEqual([["vm.txt", "default profile auto auto"]])
  })

  it("refuses an undeclared variable and a missing variable file", async () => {
    const [variable, file] = await Promise.all([
      build(join(bench.folder, "folder"), ["variables.output_directroy=x"]),
      build(join(bench.folder, "folder"), ["var_files=nowhere.pkrvars.hcl"])
    ])
    expect(variable).toMatchObject({ exitCode: 2 })
    expect(variable.stderr).toContain("declares no variable output_directroy")
    expect(variable.stderr).toContain("hint: did you mean output_directory?")
    expect(file).toMatchObject({ exitCode: 2 })
    expect(file.stderr).toContain("nowhere.pkrvars.hcl does not exist")
  })
})

describe("variables that are not strings", () => {
  it("are given by an inputs file; a number also by -i", async () => {
    const typed = write(
      "typed.pkr.hcl",
      `${hclFolder}${hclVariable("words", "list(string)", "[]")}${hclVariable("tags", "map(string)", "{}")}${hclVariable("size", "number", "1")}${hclVariable("whole", "bool", "false")}
locals {
  grown = var.size + 1
}
source "file" "image" {
  content = "\${jsonencode(var.words)} \${jsonencode(var.tags)} \${local.grown} \${var.whole}"
  target = "\${var.output_directory}/image.txt"
}
build {
  sources = ["source.file.image"]
}
`
    )
    const inputs = write(
      "inputs.yaml",
      "variables:\n  words: [one, two]\n  tags: { of: it }\n  size: 3\n  whole: true\n"
    )
    const [fromFile, over, text] = await Promise.all([
      build(typed, [], ["--inputs-file", inputs]),
      build(typed, ["variables.size=7"], ["--inputs-file", inputs]),
      build(typed, ['variables.words=["one","two"]'])
    ])
    expect(made(fromFile)).toEqual([["vm.txt", '["one","two"] {"of":"it"} 4 true']])
    expect(made(over)).toEqual([["vm.txt", '["one","two"] {"of":"it"} 8 true']])
    expect(text).toMatchObject({ exitCode: 2 })
    expect(text.stderr).toContain("list of string required")
    expect(text.stderr).toContain("hint: Give it as a list or a map in an inputs file (--inputs-file FILE)")
  })
})

describe("builds that make several files", () => {
  it("publish each image, but not checksum and manifest files as images", async () => {
    const template = write("several.json", {
      variables: { output_directory: "out" },
      builders: [jsonFile("one", "one"), jsonFile("two", "two")],
      "post-processors": [
        { type: "checksum", checksum_types: ["sha256"], output: `${output}/{{.BuildName}}.sha256` },
        { type: "manifest", output: `${output}/manifest.json` },
        { type: "compress", output: `${output}/{{.BuildName}}.txt.gz`, keep_input_artifact: true }
      ]
    })
    expect(names(await build(template, []))).toEqual([
      "vm-one-disk1.txt",
      "vm-one-disk2.gz",
      "vm-two-disk1.txt",
      "vm-two-disk2.gz"
    ])
  })

  it("publish what artifice names", async () => {
    const template = write("artifice.json", {
      variables: { output_directory: "out" },
      builders: [jsonFile("image", "not kept")],
      provisioners: [
        {
          type: "shell-local",
          inline: [
            `mkdir -p '${output}'`,
            `cd '${output}'`,
            "printf a > a.img; printf b > b.nvram; printf c > c"
          ]
        }
      ],
      "post-processors": [
        [{ type: "artifice", files: [`${output}/b.nvram`, `${output}/a.img`], keep_input_artifact: false }]
      ]
    })
    expect(made(await build(template, []))).toEqual([
      ["vm-disk1.nvram", "b"],
      ["vm-disk2.img", "a"]
    ])
  })
})

describe("a secret variable", () => {
  const secret = "correct-horse-battery-staple"

  it("reaches the build and appears nowhere else", async () => {
    write(
      "profiles/secret.pkr.hcl",
      `${hclFolder}variable "token" {
  type = string
  sensitive = true
}
${hclFile("image", "not kept")}
build {
  sources = ["source.file.image"]
  provisioner "shell-local" {
    environment_vars = ["TOKEN=\${var.token}", "TO=\${var.output_directory}"]
    inline = [
      "echo The token is $TOKEN.",
      "mkdir -p $TO",
      "printf %s $TOKEN | sha256sum | cut -c 1-64 > $TO/digest.txt"
    ]
  }
  post-processor "artifice" {
    files = ["\${var.output_directory}/digest.txt"]
    keep_input_artifact = false
  }
}
`
    )
    write("profiles/secret.yaml", {
      id: "profile.secret",
      description: "A template that takes a token",
      extends: "profile.vm-packer-build",
      inputs: {
        format: { default: "as-built" },
        packer_template: { default: "secret.pkr.hcl" },
        token: { type: "secret", required: true, variable: true }
      }
    })
    const created = await create("profile.secret", ["-i", "token=env:THE_TOKEN"], {
      env: { THE_TOKEN: secret }
    })
    const digest = createHash("sha256").update(secret).digest("hex")
    expect(made(created)).toEqual([["vm.txt", `${digest}\n`]])
    const { id } = sandboxOf(created)
    const said = await Promise.all(
      ["logs", "events", "show"].map((command) => bench.sandboxer([command, id]))
    )
    expect(said.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
    expect(said[0]?.stdout).toMatch(/The token is \S+\.$/m)
    expect(JSON.stringify([created, said])).not.toContain(secret)
    const files = filesBelow(bench.home)
    expect(files).toContain("sandboxer.db")
    expect(files.filter((name) => readFileSync(join(bench.home, name)).includes(secret))).toEqual([])
  })
})

describe("a post-processor that fails", () => {
  it("leaves no image, only the log and the record", async () => {
    const before = filesBelow(bench.home)
    const template = write("failing.json", {
      variables: { output_directory: "out" },
      builders: [jsonFile("image", "made")],
      "post-processors": [{ type: "shell-local", inline: [`cat '${output}/image.txt'`, "exit 3"] }]
    })
    const failed = await build(template, [], ["--name", "failing"])
    expect(failed).toMatchObject({ exitCode: 10 })
    expect(failed.stderr).toContain(
      "image: A post-processor failed: Script exited with non-zero exit status: 3"
    )
    const { artifacts, failure, id, state } = await bench.show("failing")
    expect({ artifacts, state }).toEqual({ artifacts: [], state: "failed" })
    expect(failure).toMatchObject({ reason: "build-failed" })
    expect(readFileSync(join(bench.home, "logs", `${id}.1.log`), "utf8")).toContain("made\n")
    const added = filesBelow(bench.home).filter((name) => !before.includes(name))
    expect(added.filter((name) => !name.startsWith("sandboxer.db"))).toEqual([`logs/${id}.1.log`])
  })
})

describe("a template whose own output directory exists", () => {
  it("is refused unless force is set", async () => {
    const template = write("own/qemu.json", {
      builders: [
        {
          type: "qemu",
          iso_url: "nowhere.iso",
          iso_checksum: "none",
          communicator: "none",
          output_directory: "mine"
        }
      ]
    })
    write("own/mine/image", "mine")
    const [refused, forced] = await Promise.all([build(template, []), build(template, ["force=true"])])
    expect(refused).toMatchObject({ exitCode: 13 })
    expect(refused.stderr).toContain("The output directory mine already exists")
    // The ISO comes first.
    expect(forced).toMatchObject({ exitCode: 10 })
    expect(sandboxOf(forced).failure?.reason).toBe("download-failed")
  })
})
