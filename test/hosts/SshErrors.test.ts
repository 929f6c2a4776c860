import { describe, expect, it } from "@effect/vitest"
import { connectError, missingProgram } from "../../src/hosts/ssh/SshErrors.js"
import { defaults } from "../../src/settings/Timing.js"

const target = {
  connection: { host: "kvm1", port: null, user: null, identityFile: null },
  socket: "/s",
  knownHosts: "/k",
  timing: defaults.ssh
}

describe("a host that accepts the login", () => {
  const words = [
    ["bash", "bash: line 1: /bin/sh: No such file or directory"],
    ["zsh", "zsh:1: no such file or directory: /bin/sh"],
    ["fish", "fish: Unknown command: /bin/sh\nfish: /bin/sh: No such file or directory"],
    ["dash", "sh: 1: exec: /bin/sh: not found"]
  ] as const
  for (const [shell, said] of words) {
    it(`and has no sh lacks a program, and can be reached; in the words of ${shell}`, () => {
      expect(connectError("kvm1", target, `Authenticated to kvm1 ([1.2.3.4]:22).\n${said}\n`)).toMatchObject({
        reason: "program-missing",
        message: expect.stringContaining("kvm1 has no /bin/sh")
      })
    })
  }

  it("but lacks setsid is reported with the package that has it", () => {
    expect(missingProgram("kvm1", "setsid")).toMatchObject({
      message: "setsid is not on the PATH of kvm1",
      hint: "install it there: `sudo apt-get install util-linux` (Debian)"
    })
  })
})
