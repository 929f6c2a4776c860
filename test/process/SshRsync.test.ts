/** What an rsync that failed says, by one that says it. */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { HostPath } from "../../src/domain/HostPath.js"
import * as SshLink from "../../src/hosts/ssh/SshLink.js"
import { rsyncOver } from "../../src/hosts/ssh/SshRsync.js"
import { defaults } from "../../src/settings/Timing.js"

let tools: string
beforeAll(() => {
  tools = fs.mkdtempSync(join(tmpdir(), "sandboxer-rsync-"))
  fs.writeFileSync(join(tools, "rsync"), '#!/bin/sh\nprintf "%s\\n" "$SAID" >&2\nexit 12\n', { mode: 0o755 })
  vi.stubEnv("PATH", `${tools}${delimiter}${process.env.PATH}`)
})
afterAll(() => {
  vi.unstubAllEnvs()
  fs.rmSync(tools, { recursive: true })
})

/** Why a file cannot be sent where rsync says so; the connection is taken for granted. */
const reason = (said: string) =>
  Effect.suspend(() => {
    vi.stubEnv("SAID", said)
    const link = SshLink.make(
      "kvm1",
      tools,
      { host: "kvm1", port: null, user: null, identityFile: null },
      defaults
    )
    const known = { home: "/home/ci", host: "kvm1", port: 22, user: "ci", keyFingerprint: null }
    const { push } = rsyncOver({ ...link, connect: Effect.succeed(known) })
    return Effect.map(Effect.flip(push([], "file", HostPath("/there"))), (error) => error.reason)
  })

const end = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]"

describe("a machine without rsync", () => {
  it.live.each([
    ["bash", "bash: line 1: rsync: command not found"],
    ["dash", "sh: 1: rsync: not found"],
    ["busybox", "sh: rsync: not found"],
    ["behind a fence", "sandboxer-fenced: 1: exec: rsync: not found"],
    ["zsh", "zsh:1: command not found: rsync"],
    ["tcsh", "rsync: Command not found."],
    ["fish", "fish: Unknown command: rsync"],
    ["one that nobody knows", "rsync? what is that?\nsandboxer-rsh 127"]
  ])("is recognised by what %s prints", ([, said]) =>
    Effect.gen(function* () {
      expect(yield* reason(`${said}\n${end}`)).toBe("program-missing")
    })
  )
})

describe("an rsync that fails on the machine", () => {
  it.live("is not mistaken for a missing one", () =>
    Effect.gen(function* () {
      const full = 'rsync: [receiver] write failed on "/there": No space left on device (28)'
      expect(yield* reason(`${full}\nrsync error: error in file IO (code 11)`)).toBe("disk-full")
    })
  )
})
