/**
 * A machine behind SSH, by OpenSSH's own client: its configuration, agents, jump hosts and certificates work as ever.
 * On the other side it takes a POSIX sh, setsid for jobs and rsync for files.
 */
import * as Effect from "effect/Effect"
import { HostPath } from "../../domain/HostPath.js"
import type { Connection } from "../../domain/Placement.js"
import type { TimingShape } from "../../settings/Timing.js"
import type { HostError, HostShape } from "../Host.js"
import * as SshFiles from "./SshFiles.js"
import * as SshJobs from "./SshJobs.js"
import * as SshLink from "./SshLink.js"
import * as SshRun from "./SshRun.js"

/**
 * Connects, unless a connection is there already, and gives the host. `stateHome` is our state directory here.
 * @category constructors
 */
export const make = (
  name: string,
  connection: Connection,
  stateHome: string,
  timing: TimingShape
): Effect.Effect<HostShape, HostError> =>
  Effect.gen(function* () {
    const link = SshLink.make(name, stateHome, connection, timing)
    const home = HostPath((yield* link.connect).home)
    return {
      name,
      home,
      programs: { jobs: ["setsid"], files: ["rsync"] },
      becomes: link.becomes,
      prepare: link.prepare,
      ...SshRun.make(link, home),
      ...SshJobs.make(link, home),
      ...SshFiles.make(link, home),
      identity: Effect.map(link.connect, ({ host, keyFingerprint, port, user }) => ({
        host,
        port,
        user,
        keyFingerprint
      }))
    }
  })
