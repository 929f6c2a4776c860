import { execFileSync } from "node:child_process"
import { expect, it } from "@effect/vitest"
import { Sshd } from "../support/sshd.js"

it("the test sshd accepts its key, has its own home, and can be cut, stopped and started", async () => {
  const sshd = await Sshd.start()
  const ssh = (line: string) =>
    execFileSync(
      "ssh",
      [
        "-F",
        "none",
        ...["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
        ...["-o", "LogLevel=ERROR", "-i", sshd.identityFile, "-p", String(sshd.port), "127.0.0.1", line]
      ],
      { encoding: "utf8" }
    )
  try {
    expect(ssh('echo "$HOME"')).toBe(`${sshd.home}\n`)
    await sshd.cut()
    expect(ssh("echo back")).toBe("back\n")
    await sshd.stop()
    expect(() => ssh("true")).toThrow()
    const before = sshd.fingerprint
    await sshd.start()
    await sshd.changeKey()
    expect(sshd.fingerprint).not.toBe(before)
    expect(ssh("echo again")).toBe("again\n")
  } finally {
    await sshd.dispose()
  }
})
