/** How OpenSSH's client is asked to reach a host. */
import type { Connection } from "../../domain/Placement.js"

/** What all commands to a host share. */
export interface SshTarget {
  readonly connection: Connection
  /** The socket of the connection that they share. */
  readonly socket: string
  /** Our own file of known keys. */
  readonly knownHosts: string
}

/** Seconds that the shared connection is kept open while nobody uses it. */
export const persistSeconds = 60

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

/** Never asks anybody, notices a dead link within 15 seconds, and does nothing that a configuration asks for besides. */
const common = [
  ...option("BatchMode", "yes"),
  ...option("ConnectTimeout", "10"),
  ...option("ServerAliveInterval", "5"),
  ...option("ServerAliveCountMax", "3"),
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
  ...common,
  ...option("ControlMaster", "auto"),
  ...option("ControlPersist", String(persistSeconds)),
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
  ...common,
  ...option("ControlMaster", "no"),
  ...option("ControlPath", quoted(target.socket)),
  // What would connect where the shared connection is gone: it is to fail.
  ...option("ProxyCommand", "false"),
  ...option("LogLevel", "ERROR")
]
