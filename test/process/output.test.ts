/** What a guest may print: anything. */
import { readFileSync } from "node:fs"
import { describe, expect } from "@effect/vitest"
import { it } from "./harness.js"

const title = "\u001b]0;pwned\u0007"
const clear = "\u001b[2J\u001b[31m"
const start = "1,,ui,message,    qemu: "

describe.concurrent("what a guest prints", () => {
  it("may be endless, malformed and binary", async ({ lab }) => {
    const long = 10_000_000
    lab.guestPrints(
      `${start}${title}${clear}red\n`,
      Buffer.concat([
        Buffer.from(`${start}no UTF-8: `),
        Buffer.from([0xff, 0xc3, 0x28, 0x00]),
        Buffer.from("!\n")
      ]),
      `${start}${"x".repeat(long)}`,
      `y\n${"é".repeat(100_000)}\n`,
      `${start}==> qemu: Build 'qemu' finished after 1 second.\n1,qemu,artifact,0,file\n1,,\n,,,,\n%!(PACKER_COMMA)\n`
    )
    lab.hold("Gracefully halting")
    const creating = lab.create("demo", "--progress", "plain")
    await lab.held("Gracefully halting")
    // All of it was read by now, or is while the log's last line is waited for.
    await creating.printed("%!(PACKER_COMMA)\n")
    const status = readFileSync(`/proc/${await lab.supervisor()}/status`, "utf8")
    expect(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1])).toBeLessThan(300_000)
    lab.release("Gracefully halting")
    const { exitCode, sandbox, stderr } = await creating.outcome()
    expect(exitCode).toBe(0)
    expect(sandbox).toMatchObject({ state: "ready", artifacts: [{ name: "demo.raw" }] })
    const log = lab.log(sandbox)
    expect(log).toMatch(/^no UTF-8: \ufffd\ufffd\(\0!$/m)
    expect(log.includes(`\n${"x".repeat(long)}y\n`)).toBe(true)
    expect(log.includes(`\n${"é".repeat(100_000)}\n`)).toBe(true)
    // What is shown has no character in it that a terminal would act on.
    expect(stderr).toMatch(/^red$/m)
    expect(stderr).not.toMatch(/(?![\t\n])\p{Cc}/u)
    expect(lab.calls("packer", "build")).toHaveLength(1)
    // A reader that is slow gets all of it, by a socket or by a pipe.
    const slow = lab.startBy(["sh", "-c", '"$@" | { sleep 0.5; cat; }', "sh"], ["logs", "demo"])
    const [bySocket, byPipe] = [await lab.run(["logs", "demo"]), await slow.ended]
    expect(bySocket.stdout.length).toBeGreaterThan(long)
    expect(byPipe.stdout === bySocket.stdout).toBe(true)
    expect(byPipe.stdout.trimEnd().endsWith(log.trimEnd().slice(-20))).toBe(true)
  })

  it("cannot send control sequences to the terminal", async ({ lab }) => {
    lab.guestPrints(`${start}${title}${clear}red\n`)
    lab.hold("guest 1")
    const create = lab.startOnTerminal(["create", "--profile", "profile.tiny", "-i", "vm_name=demo"])
    await create.printed("Ctrl-C cancels")
    await lab.held("guest 1")
    await create.printed("red")
    lab.release("guest 1")
    const shown = await create.ended
    expect(shown.exitCode).toBe(0)
    const logs = await lab.startOnTerminal(["logs", "demo"]).ended
    expect(logs.stdout).toMatch(/^red\r$/m)
    for (const { stdout } of [shown, logs]) {
      expect(stdout).not.toContain("\u001b]0;")
      expect(stdout).not.toContain("\u001b[2J")
      expect(stdout).not.toContain("\u0007")
    }
  })
})
