/** How OpenSSH's client is asked to reach a host. */
import * as Duration from "effect/Duration"
import type { Connection } from "../../domain/Placement.js"
import type { TimingShape } from "../../settings/Timing.js"

/** What all commands to a host share. */
export interface SshTarget {
  readonly connection: Connection
  /** The socket of the connection that they share. */
  readonly socket: string
  /** Our own file of known keys. */
  readonly knownHosts: string
  readonly timing: TimingShape["ssh"]
}

/** What the user's own configuration says of a host, as `ssh -G` prints it. */
export interface OwnConfiguration {
  readonly strictHostKeyChecking: string
  readonly userKnownHostsFile: string
}

export const parseConfiguration = (printed: string): OwnConfiguration => {
  const of = (key: string) => new RegExp(`^${key} (.*)$`, "m").exec(printed)?.[1] ?? ""
  return {
    strictHostKeyChecking: of("stricthostkeychecking"),
    userKnownHostsFile: of("userknownhostsfile")
  }
}

/** ssh takes whole seconds, and takes 0 for no limit. */
const wholeSeconds = (duration: Duration.Duration) =>
  String(Math.max(1, Math.ceil(Duration.toSeconds(duration))))

const option = (name: string, value: string) => ["-o", `${name}=${value}`]

/** The user, port and key where they are given, the user's own configuration saying the rest. */
export const where = ({ identityFile, port, user }: Connection): ReadonlyArray<string> => [
  ...(port === null ? [] : option("Port", String(port))),
  ...(user === null ? [] : option("User", user)),
  // Other keys of an agent would be tried first, and servers do not take many tries.
  ...(identityFile === null
    ? []
    : [...option("IdentityFile", quoted(identityFile)), ...option("IdentitiesOnly", "yes")])
]

/** A value with blanks, as ssh_config takes it; `%` begins a token there. */
const quoted = (path: string) => `"${path.replaceAll("%", "%%")}"`

/** Never asks a person, notices a dead link, and does nothing else that a configuration asks for. */
const common = ({ aliveCount, aliveInterval, connectTimeout }: SshTarget["timing"]) => [
  ...option("BatchMode", "yes"),
  ...option("ConnectTimeout", wholeSeconds(connectTimeout)),
  ...option("ServerAliveInterval", wholeSeconds(aliveInterval)),
  ...option("ServerAliveCountMax", String(aliveCount)),
  ...option("ClearAllForwardings", "yes"),
  ...option("ForwardX11", "no"),
  ...option("RemoteCommand", "none"),
  ...option("PermitLocalCommand", "no"),
  ...option("EscapeChar", "none")
]

/**
 * The first to connect shares its connection with all others. Keys of new hosts are taken and kept in our own file,
 * unless the user's configuration says that none is to be.
 */
export const connecting = (target: SshTarget, own: OwnConfiguration): ReadonlyArray<string> => [
  ...where(target.connection),
  ...common(target.timing),
  ...option("ControlMaster", "auto"),
  ...option("ControlPersist", wholeSeconds(target.timing.persist)),
  ...option("ControlPath", quoted(target.socket)),
  ...option("UserKnownHostsFile", `${quoted(target.knownHosts)} ${own.userKnownHostsFile}`),
  ...(["yes", "true"].includes(own.strictHostKeyChecking)
    ? []
    : option("StrictHostKeyChecking", "accept-new")),
  // It tells which key the host has, and who we are there.
  ...option("LogLevel", "DEBUG1")
]

/** Uses the shared connection, and makes none. */
export const sharing = (target: SshTarget): ReadonlyArray<string> => [
  ...where(target.connection),
  ...common(target.timing),
  ...option("ControlMaster", "no"),
  ...option("ControlPath", quoted(target.socket)),
  // What would connect where the shared connection is gone: it is to fail.
  ...option("ProxyCommand", "false"),
  ...option("LogLevel", "ERROR")
]
