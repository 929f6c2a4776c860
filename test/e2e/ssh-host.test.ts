/** Build mode on a host over SSH: Debian's Packer behind a real sshd. */
import * as fs from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { waitFor } from "../support/patience.js"
import { Sshd } from "../support/sshd.js"
import { makeWorkbench, sandboxOf, type Workbench } from "./harness.js"

let bench: Workbench
let sshd: Sshd
let config: string
beforeAll(async () => {
  sshd = await Sshd.start()
  bench = makeWorkbench()
  config = write("config.yaml", { hosts: { kvm1: sshd.connection } })
})
afterAll(async () => {
  bench.remove()
  await sshd.dispose()
})

const write = (name: string, content: string | object): string => {
  const file = join(bench.folder, name)
  fs.mkdirSync(join(file, ".."), { recursive: true })
  fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
  return file
}

/** A template whose build says lines one after another until a file is there, if it is to wait for one. */
const template = (lines: number) =>
  write("a template/tiny.json", {
    variables: { output_directory: "out" },
    builders: [{ type: "file", content: "an image", target: "{{user `output_directory`}}/disk.img" }],
    provisioners: [],
    "post-processors": [
      {
        type: "shell-local",
        keep_input_artifact: true,
        inline: [
          `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i of the build"; sleep 0.05; done`
        ]
      }
    ]
  })

const profile = (host: string) => {
  write("profiles/there.yaml", {
    id: "profile.there",
    extension: "ext.vm-packer",
    mode: "build",
    placement: { host, requires: { commands: ["packer"] } },
    inputs: { format: { default: "as-built" } }
  })
}
const words = (...args: ReadonlyArray<string>) => [
  "--config",
  config,
  "--profiles",
  join(bench.folder, "profiles"),
  ...args
]
const create = (name: string, lines: number) => {
  profile("kvm1")
  return bench.start(
    words(
      ...["create", "--profile", "profile.there", "-o", "json", "-i", `vm_name=${name}`],
      ...["-i", `packer_template=${template(lines)}`]
    )
  )
}

/** What Jobs print there. */
const output = () => {
  const jobs = join(sshd.home, ".sandboxer/jobs")
  return fs.existsSync(jobs)
    ? fs
        .readdirSync(jobs, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith("raw.log"))
        .map((name) => fs.readFileSync(join(jobs, name), "utf8"))
        .join("")
    : ""
}

const expectNothingThere = () => {
  expect(sshd.jobProcesses()).toEqual([])
  expect(fs.readdirSync(join(sshd.home, ".sandboxer/jobs"))).toEqual([])
}

describe("a build on a host over SSH", () => {
  it("ends with a complete image here and leaves nothing there", async () => {
    const ended = await create("far", 3).ended
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 })
    const { artifacts, placement } = sandboxOf(ended)
    expect(placement).toEqual({ host: "kvm1" })
    expect(artifacts[0]?.path.startsWith(join(bench.home, "artifacts/far"))).toBe(true)
    expect(fs.readFileSync(artifacts[0]?.path ?? "", "utf8")).toBe("an image")
    expect((await bench.sandboxer(["artifact", "verify", "far"])).exitCode).toBe(0)
    expectNothingThere()
  })

  it("survives the loss of its connection and its supervisor, without losing or doubling a line", async () => {
    const creating = create("lost", 120)
    await waitFor("the build", () => output().includes("line 5 of"))
    await sshd.cut()
    await waitFor("more of it", () => output().includes("line 15 of"))
    await sshd.stop()
    for (const { pid } of bench.supervisors()) process.kill(pid, "SIGKILL")
    await waitFor("another supervisor", () => bench.supervisors().length > 0)
    await waitFor("more of it", () => output().includes("line 60 of"))
    await sshd.start()
    await waitFor("its event", async () =>
      (await bench.events("lost")).some(({ message }) => message === "reconnected to kvm1")
    )
    await sshd.stop()
    await waitFor("the end of it", () => sshd.jobProcesses().length === 0)
    await sshd.start()
    const ended = await creating.ended
    expect(ended, ended.stderr).toMatchObject({ exitCode: 0 })
    const { logPath } = sandboxOf(ended)
    const lines = fs.readFileSync(logPath ?? "", "utf8").match(/line \d+ of the build$/gm)
    expect(lines?.map((line) => Number(line.split(" ")[1]))).toEqual(
      Array.from({ length: 120 }, (_, index) => index + 1)
    )
    expect(ended.stderr).toContain("lost the connection to kvm1; what runs there continues; reconnecting")
    expectNothingThere()
  })

  it("is cancelled with proof that nothing runs there", async () => {
    const creating = create("cancelled", 10_000)
    await waitFor("the build", () => output().includes("line 5 of"))
    creating.kill("SIGINT")
    expect((await creating.ended).exitCode).toBe(130)
    expectNothingThere()
  })

  it("is refused if the host's key has changed or nothing answers", async () => {
    await sshd.changeKey()
    const changed = await create("changed", 1).ended
    expect(changed.exitCode).toBe(4)
    expect(changed.stderr).toContain(sshd.fingerprint)
    fs.rmSync(join(bench.home, "known_hosts"))
    await sshd.stop()
    expect((await create("away", 1).ended).exitCode).toBe(14)
    const checked = await bench.sandboxer(words("host", "check", "kvm1"))
    expect(checked.exitCode).toBe(14)
    await sshd.start()
    profile("kvm2")
    const wrong = await bench.sandboxer(
      words("create", "--profile", "profile.there", "-i", "vm_name=x", "-i", `packer_template=${template(1)}`)
    )
    expect(wrong.exitCode).toBe(2)
    expect(wrong.stderr).toContain("did you mean kvm1?")
  })
})

describe("the host verb", () => {
  it("lists hosts and checks what they have", async () => {
    const listed = JSON.parse((await bench.sandboxer(words("host", "list", "-o", "json"))).stdout)
    expect(listed).toMatchObject({
      kind: "HostList",
      items: [
        { name: "local", host: null },
        { name: "kvm1", host: "127.0.0.1", port: sshd.port, slots: null, from: config }
      ]
    })
    const checked = await bench.sandboxer(words("host", "check", "kvm1", "-o", "json"))
    expect(checked, checked.stderr).toMatchObject({ exitCode: 0 })
    const { items } = JSON.parse(checked.stdout)
    expect(items).toContainEqual(
      expect.objectContaining({ host: "kvm1", name: "key", status: "ok", detail: sshd.fingerprint })
    )
    const wrong = await bench.sandboxer(words("host", "check", "kwm1"))
    expect(wrong.exitCode).toBe(2)
    expect(wrong.stderr).toContain("did you mean kvm1?")
  })

  it("check names what is missing on the host", async () => {
    const bin = join(bench.folder, "bin")
    fs.mkdirSync(bin)
    for (const program of fs.readdirSync("/usr/bin").filter((name) => name !== "rsync")) {
      fs.symlinkSync(`/usr/bin/${program}`, join(bin, program))
    }
    const bare = await Sshd.start({ path: bin })
    try {
      const file = write("bare.yaml", { hosts: { bare: bare.connection } })
      const checked = await bench.sandboxer(["--config", file, "host", "check", "bare", "-o", "json"])
      expect(checked.exitCode, checked.stderr).toBe(15)
      expect(checked.stderr).toContain("rsync on bare")
      expect(checked.stderr).not.toContain("setsid on bare")
      config = write("config.yaml", { hosts: { kvm1: bare.connection } })
      const failed = await create("bare", 1).ended
      expect(failed.exitCode).toBe(15)
      expect(failed.stderr).toContain("rsync is not on the PATH of kvm1")
    } finally {
      await bare.dispose()
    }
  })
})
