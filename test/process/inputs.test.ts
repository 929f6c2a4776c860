/** Inputs of a file, and secrets that are typed. */
import { spawn } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { makeWorkbench, root, type Workbench } from "../e2e/harness.js"

const profile = `id: profile.secret
extension: ext.vm-packer
mode: build
inputs:
  packer_template: { default: ../template.pkr.hcl }
  vm_name: { default: demo }
  memory: { type: size, variable: true }
  password: { type: secret, required: true, variable: true, description: The password }
`

// It keeps the variables that it is given for a build, and makes nothing.
const packer = `#!/bin/sh
case $1 in
  version) echo 0,,version,1.16.0 ;;
  inspect) echo 0,,template-variable,password,,0; echo 0,,template-builder,image,file ;;
  build) for word; do case $word in -var-file=*) cat "\${word#-var-file=}" >>"$SEEN" ;; esac; done; exit 1 ;;
esac
`

let bench: Workbench
beforeAll(() => {
  bench = makeWorkbench()
  for (const name of ["profiles", "bin", "inner"]) mkdirSync(join(bench.folder, name))
  writeFileSync(join(bench.folder, "profiles/secret.yaml"), profile)
  writeFileSync(join(bench.folder, "template.pkr.hcl"), 'source "file" "image" {}')
  writeFileSync(join(bench.folder, "bin/packer"), packer)
  chmodSync(join(bench.folder, "bin/packer"), 0o755)
})
afterAll(() => bench.remove())

const file = (name: string, text: string) => writeFileSync(join(bench.folder, name), text)
const sandboxer = (...words: ReadonlyArray<string>) => bench.sandboxer(words, { cwd: bench.folder })

describe("--inputs-file", () => {
  it("gives inputs; -i wins over it, and its paths start from its folder", async () => {
    file("inner/inputs.yaml", 'vm_name: from-file\nmemory: 1 GiB\nmode: build\npassword: "@secret"\n')
    const inputs = ["--inputs-file", "inner/inputs.yaml"]
    const create = ["create", "-p", "secret", "--dry-run", "-o", "json", ...inputs]
    const { exitCode, stderr, stdout } = await sandboxer(...create, "-i", "vm_name=from-words")
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" })
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "Plan",
      mode: "build",
      inputs: {
        vm_name: "from-words",
        memory: 1024 ** 3,
        password: `@${join(bench.folder, "inner/secret")}`,
        packer_template: join(bench.folder, "template.pkr.hcl")
      }
    })
    // Its mode gives way to --mode as it does to -i.
    for (const flags of [
      ["--mode", "attcah"],
      ["-i", "mode=attcah"]
    ]) {
      expect(await sandboxer(...create, ...flags)).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining("ext.vm-packer has no mode attcah")
      })
    }
  })

  it("may be JSON", async () => {
    file("inputs.json", '{ "vm_name": "from-json",\n\t"memory": 4096, "password": "env:PASSWORD" }')
    const { stdout } = await sandboxer(
      "create",
      "-p",
      "secret",
      "--dry-run",
      "-o",
      "json",
      "--inputs-file=inputs.json"
    )
    expect(JSON.parse(stdout)).toMatchObject({
      inputs: { vm_name: "from-json", memory: 4096, password: "env:PASSWORD" }
    })
  })

  it.each([
    [
      "a literal",
      "vm_name: x\npassword: correct-horse\n",
      "2:1: input password is a secret and cannot be given as it is"
    ],
    ["a wrong value", "password: env:A\nmemory: lots\n", '2:1: input memory: got "lots"'],
    ["a list", "- vm_name\n", "1:1: it is not a map of keys"],
    ["an alias of nothing", "a: &a [x]\nb: *a\nc: *d\n", "3:4: there is no anchor &d before *d"],
    ["too much", `vm_name: ${"x".repeat(256 * 1024)}`, "1:1: it is too large: 262153 bytes"]
  ])("exits with 2 and names the wrong line: %s", async (_, text, message) => {
    file("wrong.yaml", text)
    const { exitCode, stderr, stdout } = await sandboxer(
      "create",
      "-p",
      "secret",
      "--inputs-file",
      "wrong.yaml"
    )
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" })
    expect(stderr.split("\n")[0]).toBe(`error: wrong.yaml:${message}`)
    expect(stderr).not.toContain("correct-horse")
  })
})

describe("a required secret that was not given", () => {
  it("is reported as missing when there is no terminal", async () => {
    const { exitCode, stderr } = await sandboxer("create", "-p", "secret")
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        "error: input password is missing\n" +
        "hint: give it: -i password=env:NAME or -i password=@FILE (The password)\n"
    })
  })

  const question = "password (The password), hidden as you type: "

  /**
   * Runs `create` at a terminal, and types each of `keys` once what stands before it was printed. Gives what the
   * terminal showed, with the exit code behind it.
   */
  const atTerminal = (
    keys: ReadonlyArray<readonly [shown: string, keys: string]>,
    ...words: ReadonlyArray<string>
  ): Promise<string> =>
    new Promise((resolve, reject) => {
      const command = [process.execPath, join(root, "dist/bin.js"), "create", "-p", "secret", ...words].join(
        " "
      )
      const child = spawn("script", ["-qfc", `${command}; echo "exit code $?"; stty -a`, "/dev/null"], {
        cwd: bench.folder,
        env: {
          ...process.env,
          SANDBOXER_HOME: bench.home,
          SEEN: join(bench.folder, "seen"),
          PATH: [join(bench.folder, "bin"), process.env.PATH].join(delimiter)
        },
        stdio: ["pipe", "pipe", "inherit"]
      })
      let shown = ""
      let next = 0
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        shown += text
        const key = keys[next]
        if (key !== undefined && shown.includes(key[0])) {
          next++
          child.stdin.write(key[1])
        }
      })
      child.once("error", reject)
      child.once("close", () => resolve(shown.replaceAll("\r", "")))
    })

  it("is prompted for at a terminal, and only the build sees it", async () => {
    // A mistake, taken back.
    const shown = await atTerminal(
      [[question, "wrong\u0015correct-hörse\r"]],
      "--progress=plain",
      "-i",
      "vm_name=typed"
    )
    expect(shown).toContain(question)
    // The build fails; the one that it is for has seen it.
    expect(shown).toContain("exit code 10\n")
    expect(readFileSync(join(bench.folder, "seen"), "utf8")).toContain('"password":"correct-hörse"')
    expect(shown).not.toMatch(/correct|wrong/)
    // The terminal echoes again what is typed.
    expect(shown).toMatch(/[^-]\becho\b/)
    const sandbox = await bench.show("typed")
    expect(sandbox.inputs.password).toBe("prompt")
    const kept = await bench.sandboxer(["logs", "typed"])
    expect(kept.stdout).not.toContain("correct")
  })

  it("leaves the keyboard to the progress view after the prompt", async () => {
    const gate = "exec sleep 60"
    file("bin/packer", packer.replace("exit 1", gate))
    const shown = await atTerminal(
      [
        [question, "correct-horse\r"],
        ["d detaches", "d"]
      ],
      "-i",
      "vm_name=left"
    )
    expect(shown).toContain("left left, which goes on")
    expect(shown).toContain("exit code 0\n")
    expect(await bench.sandboxer(["cancel", "left"])).toMatchObject({ exitCode: 0 })
    file("bin/packer", packer)
  })

  it.each([
    ["Ctrl-C", "\u0003", "exit code 130\n", ""],
    ["Ctrl-D", "\u0004", "exit code 2\n", "input password: nothing was typed"],
    ["Return alone", "\r", "exit code 2\n", "input password: nothing was typed"]
  ])("the prompt can be left with %s, and nothing is created", async (_, key, exitCode, message) => {
    const shown = await atTerminal([[question, key]], "-i", "vm_name=never")
    expect(shown).toContain(exitCode)
    expect(shown).toContain(message)
    expect(shown).toMatch(/[^-]\becho\b/)
    expect((await bench.sandboxer(["list", "-q", "--all", "--filter", "name=never"])).stdout).toBe("")
  })
})
