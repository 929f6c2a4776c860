import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import { defaults } from "../../src/settings/Timing.js"
import { type Creating, it, type Lab } from "./harness.js"

const token = 'tok,en "5f2e" \\x é, 9,b'
const key = "-----BEGIN KEY-----\nMIIEvQ,IBADAN+Bg/kqh=\nkiG9w0BAQEFAASC\n-----END KEY-----"
const secrets = [token, key]

const wire = (text: string) => text.replaceAll(",", "%!(PACKER_COMMA)").replaceAll("\n", "\\n")
const base64 = (text: string) => Buffer.from(text).toString("base64").replace(/=+$/, "")

/** Everything that a secret must not be found as: a line of it is as bad as all of it. */
const needles = secrets
  .flatMap((secret) => [secret, ...secret.split("\n")])
  .flatMap((text) => [
    text,
    wire(text),
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    base64(text)
  ])

const expectNone = (where: string, bytes: Buffer | string) =>
  expect(
    needles.filter((needle) => bytes.includes(needle)),
    where
  ).toEqual([])

/** Looks through all files of the state directory, the database among them. */
const expectNoneKept = async (lab: Lab) => {
  await lab.quiet()
  const files = lab.files(lab.home)
  expect(files).toContainEqual(expect.stringMatching(/sandboxer\.db$/))
  for (const file of files) expectNone(file, readFileSync(join(lab.home, file)))
}

const says = (text: string) => `1,,ui,message,    qemu: ${wire(text)}\n`

/** Lines that are cut into pieces where they are read: at every place of the text. */
const cutAnywhere = (text: string) => {
  const start = "1,,ui,message,    qemu: "
  return Array.from({ length: wire(text).length }, (_, before) => {
    const padding = "-".repeat(defaults.jobs.lineBytes - start.length - before)
    return `${start}${padding}${wire(text)} after the cut ${wire(text)}.\n`
  }).join("")
}

const withSecrets = (lab: Lab) => {
  lab.write("template/tiny.json", {
    variables: { output_directory: "output-tiny", vm_name: "tiny", token: "", key: "" },
    "sensitive-variables": ["token", "key"]
  })
  lab.write("key.pem", `${key}\n`)
  const secret = { type: "secret", variable: true }
  lab.profile({ inputs: { token: secret, key: secret } })
}

const create = (lab: Lab): Creating =>
  lab.creating(
    { THE_TOKEN: token },
    ...["-i", "vm_name=demo", "-i", "token=env:THE_TOKEN", "-i", "key=@key.pem", "--progress", "plain"]
  )

/** Command lines of all processes of this machine, as any of its users can read them. */
const commandLines = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8")
      } catch {
        // It has ended meanwhile.
        return ""
      }
    })
    .join("\n")

describe.concurrent("secrets", () => {
  it("reach Packer and are found nowhere after the end", async ({ lab }) => {
    withSecrets(lab)
    const guest = [
      ...secrets.flatMap((secret) => [
        `${secret}\n`,
        says(`in clear: ${secret}, and more`),
        says(`as JSON: ${JSON.stringify({ secret })}`),
        says(`in a URL: https://user:${encodeURIComponent(secret)}@example.org/`),
        says(`as base64: ${base64(secret)}`)
      ]),
      cutAnywhere(token),
      cutAnywhere(JSON.stringify({ token })),
      says("that was all")
    ].join("")
    const middle = guest.indexOf(token) + 5
    lab.guestPrints(guest.slice(0, middle), guest.slice(middle))
    lab.hold("guest 1")
    const creating = create(lab)
    await lab.held("guest 1")
    const [call] = lab.calls("packer", "build")
    const file = call!.args.find((arg) => arg.startsWith("-var-file="))!.slice(10)
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ token, key })
    const kept = lab.files(lab.home).filter((name) => /secrets|variables|raw\.log/.test(name))
    expect(kept.map((name) => (statSync(join(lab.home, name)).mode & 0o777).toString(8))).toEqual([
      "600",
      "600",
      "600"
    ])
    expectNone("command lines", commandLines())
    lab.release("guest 1")
    const { exitCode, sandbox, stderr } = await creating.outcome()
    expect(exitCode, stderr).toBe(0)
    expect(sandbox.inputs).toMatchObject({ token: "env:THE_TOKEN", key: `@${join(lab.folder, "key.pem")}` })
    expectNone("create", JSON.stringify(await creating.ended))
    const log = lab.log(sandbox)
    expect(log).toMatch(/^in clear: \[redacted\], and more$/m)
    expect(log.match(/ after the cut (?:\[redacted\]|\{"token":"\[redacted\]"\})\.$/gm)).toHaveLength(
      wire(token).length + wire(JSON.stringify({ token })).length
    )
    expect(log).toMatch(/^that was all$/m)
    expect(stderr).toContain(log)
    expectNone("events", JSON.stringify(await lab.events("demo")))
    expectNone("stand-in's calls", JSON.stringify(lab.calls("packer", "build")))
    await expectNoneKept(lab)
  })

  it("are redacted in a failure's message", async ({ lab }) => {
    withSecrets(lab)
    lab.speak({ version: "1.6.6", replays: { build: "qemu-provisioner-fails" } })
    lab.guestPrints(
      says(`${token} is refused`),
      `1,,ui,error,Build 'qemu' errored after 1 second: cannot log in with ${wire(token)}\n`,
      `1,qemu,error,cannot log in with ${wire(token)}\n`
    )
    const creating = create(lab)
    const { exitCode, sandbox, stderr } = await creating.outcome()
    expect(exitCode, stderr).toBe(10)
    expectNone("create", JSON.stringify(await creating.ended))
    expect(sandbox.failure?.logTail).toContain("[redacted] is refused")
    await expectNoneKept(lab)
  })

  it("are redacted in what packer validate prints", async ({ lab }) => {
    withSecrets(lab)
    const text = `1,,ui,error,Error: invalid value ${wire(token)}\n`
    lab.speak({ version: "1.6.6", says: { validate: { text, exitCode: 1 } } })
    const creating = create(lab)
    const { exitCode, sandbox, stderr } = await creating.outcome()
    expect(exitCode, stderr).toBe(2)
    expect(sandbox.failure?.message).toContain("invalid value [redacted]")
    expectNone("create", JSON.stringify(await creating.ended))
    await expectNoneKept(lab)
  })

  it("are removed when a provision is cancelled after a crash", async ({ lab }) => {
    withSecrets(lab)
    lab.guestPrints(says(token))
    lab.hold("guest 1")
    const creating = create(lab)
    await lab.held("guest 1")
    await creating.printed("[redacted]\n")
    await lab.crash(await lab.supervisor())
    const { exitCode } = await lab.run(["cancel", "demo"])
    expect(exitCode).toBe(0)
    const { sandbox } = await creating.outcome()
    expect(lab.log(sandbox)).toContain("[redacted]\n")
    lab.expectNothingLeft(sandbox.id)
    await expectNoneKept(lab)
  })

  it.for([
    ["a literal", `token=${token}`],
    ["a variable that is not there", "token=env:NO_SUCH_TOKEN"],
    ["a file that is not there", "token=@no-such-file"]
  ] as const)("cannot be given as %s", async ([, input], { lab }) => {
    withSecrets(lab)
    const { exitCode, stderr, stdout } = await lab.create("demo", "-i", input).ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" })
    expect(stderr).toMatch(/^error: input token.*\nhint: /)
    expectNone("create", stderr)
    expect(await lab.json("list", "--all")).toMatchObject({ items: [] })
    expect(lab.files(join(lab.home, "jobs"))).toEqual([])
  })
})
