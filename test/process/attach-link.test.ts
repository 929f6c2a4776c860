/** A link that drops all that is sent over it, for as long as a connection does not outlive. */
import * as fs from "node:fs"
import { join } from "node:path"
import { expect } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { it } from "./harness.js"
import { Network } from "./network.js"

/** Our end notices a dead link within 15 seconds, and knocks again from then on. */
const outage = 30_000

it("a remote build survives a 30 s network outage: no line is lost or doubled, and the exit code is right", async ({
  lab,
  skip
}) => {
  const network = await Network.make()
  if (typeof network === "string") return skip(network)
  const sshd = await Sshd.start({ network })
  try {
    lab.write(".config/sandboxer/config.yaml", { hosts: { builder: sshd.connection } })
    lab.write("project/a.txt", "a\n")
    const command =
      "i=0; while [ ! -e go ]; do i=$((i+1)); echo line $i; echo $i >count; sleep 0.1; done; echo end; exit 7"
    const create = lab.start([
      ...["create", "-p", "profile.vm-packer-attach", "-i", "host=builder", "-o", "json"],
      ...["-i", "project=project", "-i", `command=${command}`]
    ])
    await create.printed("== run")
    const work = join(sshd.home, ".sandboxer/work")
    const workdir = join(work, fs.readdirSync(work)[0] ?? "")
    const count = () => Number(fs.readFileSync(join(workdir, "count"), "utf8"))
    const logged = async () => lab.log(await lab.show("project"))
    const follows = (line: number) =>
      waitFor(`line ${line}`, async () => (await logged()).includes(`line ${line}\n`))

    await follows(10)
    network.down()
    const since = count()
    await new Promise((resolve) => setTimeout(resolve, outage))
    await waitFor("100 more lines there", () => count() - since > 100)
    const meanwhile = count()
    // What was on its way may have come.
    expect(await logged()).not.toContain(`line ${meanwhile - 50}\n`)
    network.up()
    await follows(meanwhile)
    await create.printed("reconnected to builder")

    fs.writeFileSync(join(workdir, "go"), "")
    const { exitCode, stderr, stdout } = await create.ended
    const told = (await lab.events(JSON.parse(stdout).id)).filter(
      ({ message, type }) => /^(warning|note)$/.test(type) && message.includes("builder")
    )
    expect(told.map(({ message, type }) => [type, message])).toEqual([
      ["warning", "lost the connection to builder; what runs there continues; reconnecting"],
      ["note", "reconnected to builder"]
    ])
    expect(stderr).toContain("lost the connection to builder")
    expect(exitCode, stderr).toBe(10)
    expect(stderr).toContain("ended with exit code 7")
    const lines = Array.from({ length: count() }, (_, index) => `line ${index + 1}\n`)
    expect(lab.log(JSON.parse(stdout))).toBe(`${lines.join("")}end\n`)
    expect(sshd.jobProcesses()).toEqual([])
  } finally {
    await sshd.dispose()
    network.dispose()
  }
})
