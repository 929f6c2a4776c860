/** What OpenSSH and programs on the other side say when something is wrong, as a HostError. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { installHint, notOnPath } from "../../domain/Programs.js"
import { HostError } from "../Host.js"
import type { SshTarget } from "./SshOptions.js"

/** ssh's own words, without what it tells for debugging. */
const wordsOf = (stderr: string) =>
  stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(
      (line) =>
        line !== "" &&
        !/^(debug\d: (?!no such identity)|OpenSSH_|\*\* |Pseudo-terminal|@@@|Authenticated to )/.test(line)
    )

/** The fingerprint of a key in a file of known hosts. */
const fingerprintAt = (file: string, line: number): string => {
  try {
    const words = (readFileSync(file, "utf8").split("\n")[line - 1] ?? "").split(" ")
    const key = words.find((word) => word.startsWith("AAAA")) ?? ""
    const digest = createHash("sha256").update(Buffer.from(key, "base64")).digest("base64")
    return `SHA256:${digest.replace(/=+$/, "")}`
  } catch {
    return "a key that cannot be read any more"
  }
}

/** The name that keys of a host are kept under. */
export const keyName = ({ connection: { host, port } }: SshTarget): string =>
  port === null || port === 22 ? host : `[${host}]:${port}`

const changedKey = (name: string, target: SshTarget, stderr: string) => {
  const now = /sent by the remote host is\s+(SHA256:\S+?)\.?\s/.exec(stderr)?.[1] ?? "another key"
  const [, file = "", line = "0"] = /^Offending .*key in (.+):(\d+)\s*$/m.exec(stderr) ?? []
  return new HostError({
    reason: "key-changed",
    host: name,
    message: `the key of ${name} has changed: it was ${fingerprintAt(file, Number(line))}, and is ${now}`,
    hint: `somebody may listen in; if its administrator confirms the new key: ssh-keygen -f '${file}' -R '${keyName(target)}'`
  })
}

/** Why a connection could not be made. */
export const connectError = (name: string, target: SshTarget, stderr: string): HostError => {
  const words = wordsOf(stderr)
  const said = words.at(-1) ?? "ssh ended without a word"
  const of = (reason: HostError["reason"], message: string, hint: string) =>
    new HostError({ reason, host: name, message, hint })
  const login = `ssh${target.connection.port === null ? "" : ` -p ${target.connection.port}`}`
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED/.test(stderr)) return changedKey(name, target, stderr)
  if (/Host key verification failed|No .* host key is known/.test(stderr)) {
    return of(
      "refused",
      `the key of ${name} is not known, and the configuration of ssh takes none that is new`,
      `compare its key, and connect once by hand: ${login} ${target.connection.host}`
    )
  }
  if (/Permission denied|Too many authentication failures|no more authentication methods/i.test(stderr)) {
    const file = words.find((line) => /dentity file .* not accessible|no such identity/.test(line))
    return of(
      "refused",
      `${name} does not let us in: ${file === undefined ? said : `${said} (${file})`}`,
      "check the user and the key, or load the key into ssh-agent: nobody is asked for a password"
    )
  }
  if (/Bad configuration option|terminating, \d+ bad|Bad owner or permissions|unix_listener/.test(stderr)) {
    return of(
      "other",
      `ssh cannot be used: ${said}`,
      "check the configuration of ssh: `ssh -G HOST` reads it"
    )
  }
  // We were let in, and the login shell did not find what is to run programs there.
  const noShell = words.find((line) => line.includes("/bin/sh") && /not found|No such file/i.test(line))
  if (noShell !== undefined) {
    return of("program-missing", `${name} has no /bin/sh: ${noShell}`, "it takes a POSIX sh at that place")
  }
  return of(
    "unreachable",
    `${name} cannot be reached: ${said}`,
    "check its name and port, and that it is up and reachable from here"
  )
}

export const linkLost = (name: string) =>
  new HostError({
    reason: "unreachable",
    host: name,
    message: `the connection to ${name} was lost`,
    hint: "check that it is up and reachable from here; what runs there as a job goes on"
  })

const kinds: ReadonlyArray<readonly [RegExp, HostError["reason"], string]> = [
  [/No space left on device|quota exceeded/i, "disk-full", "free some space there"],
  [
    /Permission denied|Operation not permitted|Read-only file system/i,
    "not-permitted",
    "check who owns the path and its permissions"
  ],
  [/File exists|exists already/i, "exists", "check the path"],
  [/No such file|Not a directory|nonexistent/i, "not-found", "check the path"]
]

/** What a program said that could not do what it was to do with files there. */
export const fileError = (name: string, what: string, stderr: string): HostError => {
  const found = kinds.find(([pattern]) => pattern.test(stderr))
  const said = stderr.trim().split("\n").at(-1)?.trim() ?? ""
  return new HostError({
    reason: found?.[1] ?? "other",
    host: name,
    message: said === "" ? `${what} failed on ${name}` : `${what} on ${name}: ${said}`,
    hint: found?.[2] ?? "check the path there"
  })
}

export const missingProgram = (name: string, program: string) =>
  new HostError({
    reason: "program-missing",
    host: name,
    message: notOnPath([program], name),
    hint: installHint([program])
  })
