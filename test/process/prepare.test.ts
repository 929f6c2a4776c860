import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { it, type Lab, output } from "./harness.js"

/** A profile whose `prepare` counts its runs, and waits where there is a gate until it is opened. */
const withPrepare = (lab: Lab, end = "cat seed >base.img") => {
  lab.script(
    "profiles/make.sh",
    `echo run >>'${lab.folder}/runs'\n[ ! -p '${lab.folder}/gate' ] || cat '${lab.folder}/gate'\n${end}`
  )
  lab.write("profiles/seed", "a seed\n")
  lab.write("template/tiny.json", {
    variables: { output_directory: "output-tiny", vm_name: "tiny", base_image: null }
  })
  lab.profile({
    prepare: {
      command: ["./make.sh"],
      inputs: ["make.sh", "seed"],
      produces: "base.img",
      variable: "base_image"
    }
  })
}

const runs = (lab: Lab) =>
  existsSync(join(lab.folder, "runs"))
    ? readFileSync(join(lab.folder, "runs"), "utf8").split("\n").length - 1
    : 0

const bases = (lab: Lab) => lab.files(join(lab.home, "prepared")).filter((name) => name.endsWith("/base.img"))

/** Two sandboxes, one of which runs `prepare` while the other waits for it. */
const two = async (lab: Lab) => {
  output("mkfifo", [join(lab.folder, "gate")])
  const first = lab.create("first")
  await waitFor("the first run", () => runs(lab) === 1)
  const second = lab.create("second")
  await waitFor("one that waits", () => lab.jobCommands("flock ").length === 2)
  return { first, second }
}

/** Lets the one through that waits at the gate, and all who come later. */
const openGate = (lab: Lab) => {
  const gate = openSync(join(lab.folder, "gate"), "w")
  rmSync(join(lab.folder, "gate"))
  closeSync(gate)
}

describe.concurrent("prepare", () => {
  it("runs once for two sandboxes, and again after an input changed", async ({ lab }) => {
    withPrepare(lab)
    const { first, second } = await two(lab)
    openGate(lab)
    expect((await first.ended).exitCode).toBe(0)
    expect((await second.ended).exitCode).toBe(0)
    expect(runs(lab)).toBe(1)

    const third = await lab.created("third")
    expect(await lab.events(third.id)).toContainEqual(
      expect.objectContaining({ message: "base.img was made before, from the same inputs" })
    )
    expect(runs(lab)).toBe(1)
    expect(bases(lab)).toHaveLength(1)

    lab.write("profiles/seed", "another seed\n")
    await lab.created("fourth")
    expect(runs(lab)).toBe(2)
    expect(bases(lab)).toHaveLength(2)
  })

  it("is continued by a waiting sandbox if the first one is cancelled", async ({ lab }) => {
    withPrepare(lab)
    const { first, second } = await two(lab)
    expect((await lab.run(["cancel", "first"])).exitCode).toBe(0)
    expect((await first.ended).exitCode).toBe(130)
    await waitFor("the second run", () => runs(lab) === 2)
    openGate(lab)
    expect((await second.ended).exitCode).toBe(0)
    expect(bases(lab)).toHaveLength(1)
  })

  it("reports what it printed when it fails", async ({ lab }) => {
    withPrepare(lab, "echo 'no mirror today' >&2\nexit 3")
    const { exitCode, sandbox, stderr } = await lab.create("demo").outcome()
    expect(exitCode, stderr).toBe(10)
    expect(stderr).toContain("\n  | no mirror today\n")
    expect(sandbox.failure).toMatchObject({
      reason: "prepare-failed",
      message: "./make.sh failed with exit code 3",
      logTail: ["no mirror today"]
    })
    expect(bases(lab)).toEqual([])
    expect(lab.calls("packer", "validate")).toEqual([])
    lab.expectNothingLeft(sandbox.id)
  })
})
