/** Files of a provision that failed, kept for whoever looks into it. */
import * as Effect from "effect/Effect"
import { type HostPath, HostPathFromString, join } from "../domain/HostPath.js"
import { HostError, type HostShape } from "../hosts/Host.js"
import type { Step, StoreError } from "../store/SandboxStore.js"
import { Steps } from "./Steps.js"

const key = "keep-on-failure"

/** For recipes: has a folder kept, one of the attempt's own, should the provision fail. */
export const retainOnFailure = (folder: HostPath): Effect.Effect<void, StoreError, Steps> =>
  Effect.flatMap(Steps, (steps) => Effect.asVoid(steps.step(key, HostPathFromString, Effect.succeed(folder))))

/** Where the files of an attempt are kept. */
const placeOf = (host: HostShape, id: string, attempt: number) =>
  join(host.home, "kept", attempt === 1 ? id : `${id}.${attempt}`)

/**
 * Takes what is to be kept out of the way of those who clean up, and gives its new place; `undefined` where nothing is
 * to be kept, or nothing was made. Nothing may write there any more. Doing it again gives the same: it is one rename,
 * which finds nothing to move, and never removes what is there.
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
          message: `${from} cannot be kept: ${stderr.trim()}`,
          hint: `check who owns ${host.home}, and the space there`
        })
      }
    }
    return (yield* host.info(to)) === undefined ? undefined : to
  })
