/** All hosts that there are: this machine, those of the configuration, and whatever a placement says how to reach. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HostPath } from "../../domain/HostPath.js"
import { didYouMean } from "../../domain/Nearest.js"
import { Settings } from "../../settings/Settings.js"
import { Timing } from "../../settings/Timing.js"
import { HostError, type HostShape, Hosts } from "../Host.js"
import * as Local from "../local/HostLocal.js"
import * as Ssh from "../ssh/HostSsh.js"

/** @category layers */
export const layer: Layer.Layer<Hosts, never, Settings> = Layer.effect(
  Hosts,
  Effect.gen(function* () {
    const { home, hosts } = yield* Settings
    const timing = yield* Timing
    const local = Local.make(HostPath(home), timing)
    const made = new Map<string, HostShape>()
    return {
      get: ({ connection, host }) =>
        Effect.suspend(() => {
          const to = connection ?? (host === local.name ? undefined : hosts[host]?.connection)
          if (to !== undefined) {
            const key = JSON.stringify([host, to])
            const kept = made.get(key)
            return kept !== undefined
              ? Effect.succeed(kept)
              : Effect.tap(Ssh.make(host, to, home, timing), (one) => Effect.sync(() => made.set(key, one)))
          }
          if (host === local.name) return Effect.succeed(local)
          const names = [local.name, ...Object.keys(hosts).filter((one) => one !== local.name)]
          return new HostError({
            reason: "unreachable",
            host,
            message: `no host is called ${host}`,
            hint: didYouMean(
              host,
              names,
              `hosts are ${names.join(", ")}; the configuration's \`hosts\` names more`
            )
          })
        })
    }
  })
)
