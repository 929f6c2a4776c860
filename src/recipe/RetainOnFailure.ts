/** Retained failure artifacts: files of a failed provision that are kept for inspection. */
import * as Effect from "effect/Effect"
import { type HostPath, HostPathFromString, join } from "../domain/HostPath.js"
import { HostError, type HostShape } from "../hosts/Host.js"
import type { Step, StoreError } from "../store/SandboxStore.js"
import { Steps } from "./Steps.js"

const key = "keep-on-failure"

/** For recipes: retains a folder of this attempt if the provision fails. */
export const retainOnFailure = (folder: HostPath): Effect.Effect<void, StoreError, Steps> =>
  Effect.flatMap(Steps, (steps) => Effect.asVoid(steps.step(key, HostPathFromString, Effect.succeed(folder))))

/** Where the files of an attempt are retained. */
const placeOf = (host: HostShape, id: string, attempt: number) =>
  join(host.home, "kept", attempt === 1 ? id : `${id}.${attempt}`)

/**
 * Moves the folder that the recipe named to its retained place, out of reach of the clean-up, and returns that place;
 * `undefined` if no folder was named or it is empty. Nothing may still write there. Safe to repeat: it is one rename,
 * which finds nothing to move the second time and never replaces anything.
 */
export const retain = (
  host: HostShape,
  { attempt, id }: { readonly id: string; readonly attempt: number },
  steps: ReadonlyArray<Step>
): Effect.Effect<HostPath | undefined, HostError> =>
  Effect.gen(function* () {
    const folder = steps.find((step) => step.key === key)?.result?.value
    if (typeof folder !== "string") return undefined
    const from = folder as HostPath
    const to = placeOf(host, id, attempt)
    if ((yield* host.info(from)) !== undefined && (yield* host.list(from)).length > 0) {
      yield* host.makeFolder(join(host.home, "kept"))
      const { exitCode, stderr } = yield* host.run({ program: "mv", args: ["-T", "--", from, to] })
      if (exitCode !== 0) {
        return yield* new HostError({
          reason: "other",
          host: host.name,
          message: `${from} cannot be retained: ${stderr.trim()}`,
          hint: `check the owner of ${host.home} and the free space there`
        })
      }
    }
    return (yield* host.info(to)) === undefined ? undefined : to
  })
