import { describe, expect, it } from "@effect/vitest"
import { diagnose } from "../../src/packer/diagnose/Diagnose.js"
import * as PluginLog from "../../src/packer/wire/PluginLog.js"

/** The formats of Packer 1.6.6, and of 1.16, whose plugins write times themselves. */
const writers = {
  "1.6.6": (text: string) => `2026/11/25 06:16:45 packer-builder-qemu plugin: ${text}`,
  "1.16.0": (text: string) =>
    `2026/11/25 06:16:45 packer-plugin-qemu_v1.1.5_x5.0_linux_amd64 plugin: 2026/11/25 06:16:45 ${text}`
}

const halted = [
  "1,,ui,error,==> qemu: Error launching VM: Qemu failed to start. Please run with PACKER_LOG=1 to get more info.",
  "1,,ui,error,Build 'qemu' errored after 59 milliseconds 596 microseconds: Build was halted.",
  "1,qemu,error,Build was halted."
]
const timedOut = (...before: ReadonlyArray<string>) => [
  ...before,
  "1,,ui,error,==> qemu: Timeout waiting for SSH.",
  "1,,ui,error,Build 'qemu' errored after 8 seconds 42 milliseconds: Timeout waiting for SSH.",
  "1,qemu,error,Timeout waiting for SSH."
]
const denied =
  "[DEBUG] SSH handshake err: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none password], no supported methods remain"

describe.each(Object.entries(writers))("the log of Packer %s", (_, write) => {
  const why = (output: ReadonlyArray<string>, ...texts: ReadonlyArray<string>) =>
    diagnose(output, 1, { builds: ["qemu"], plugins: PluginLog.read(texts.map(write).join("\n")) })

  it.each([
    ["kvm-unusable", "Could not access KVM kernel module: Permission denied"],
    ["kvm-unusable", "qemu-system-x86_64: failed to initialize kvm: Inappropriate ioctl for device"],
    ["out-of-memory", "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"],
    ["disk-full", "qemu-system-x86_64: -drive file=x: Could not write: No space left on device"],
    ["port-taken", "qemu-system-x86_64: -netdev user: Could not set up host forwarding rule 'tcp::22-:22'"],
    ["build-failed", "qemu-system-x86_64: -nosuch: invalid option"]
  ] as const)("explains %s if QEMU does not start: %s", (reason, said) => {
    const diagnosis = why(halted, "Started Qemu. Pid: 22500", `Qemu stderr: ${said}`)
    expect(diagnosis).toMatchObject({
      reason,
      message: `qemu: QEMU did not start: ${said.replace("qemu-system-x86_64: ", "")}`
    })
  })

  it("explains a timeout by a refused login", () => {
    expect(why(timedOut(), denied)).toMatchObject({
      reason: "connect-refused",
      message: expect.stringMatching(/^qemu: The guest answered, but refused the login: .*unable to auth/)
    })
    expect(why(timedOut(), "[DEBUG] SSH handshake err: ssh: handshake failed: EOF")).toMatchObject({
      reason: "connect-timeout"
    })
  })

  it("has the port that Packer waits for, while it waits", () => {
    const busy =
      "Retryable error: port 8933 cannot be opened: listen tcp 127.0.0.1:8933: bind: address already in use"
    const texts = (...said: ReadonlyArray<string>) => PluginLog.read(said.map(write).join("\n"))
    expect(PluginLog.awaitedPort(texts(busy))).toBe("8933")
    expect(PluginLog.awaitedPort(texts("Retryable error: Port 5901 is file locked"))).toBe("5901")
    expect(PluginLog.awaitedPort(texts(busy, "Found available port: 8934 on IP: 127.0.0.1"))).toBeUndefined()
  })

  it("is read without a guest's output", () => {
    const record = "2026/11/25 06:16:45 1795587405,,ui,say,    qemu: plugin: Qemu stderr: kvm version too old"
    expect(PluginLog.read(record)).toEqual([])
  })

  it.each([
    "Sending char 'a', code 0x61, shift false",
    "Special code '<enter>' found, replacing with: 0xFF0D"
  ])("explains a timeout by a boot command that was typed: %s", (text) => {
    expect(why(timedOut(), "Connected to VNC desktop: QEMU (vm)", text)).toMatchObject({
      reason: "boot-failed",
      message: "qemu: The guest did not answer over SSH after the boot command"
    })
    // Builders also print that they type an empty boot command.
    const said = "1,,ui,say,==> qemu: Typing the boot command over VNC..."
    expect(why(timedOut(said), "Connected to VNC desktop: QEMU (vm)")).toMatchObject({
      reason: "connect-timeout"
    })
  })
})
