/** Following a provision at the terminal: what is shown, and what signals and keys do meanwhile. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { Conflict, NotFound } from "../domain/Errors.js"
import type { Sandbox } from "../domain/Sandbox.js"
import { formatDuration } from "../domain/Units.js"
import { Sandboxes } from "../sandboxes/Sandboxes.js"
import { stopGraceIn } from "../settings/Timing.js"
import type { StoreError } from "../store/SandboxStore.js"
import { Ended, end, ofSandbox } from "./ExitCode.js"
import { notifyHub } from "./NotifyHub.js"
import type { ProgressMode } from "./Options.js"
import { type Format, printOne, report } from "./Printer.js"
import { eraseLine, showJson, showLines, showLog, showStatusLine } from "./Progress.js"
import { sandboxInFull } from "./SandboxKinds.js"
import { answering, Signals } from "./Signals.js"

export interface FollowOptions {
  readonly progress: ProgressMode
  /** Events up to this number are not shown; by default all are. */
  readonly after?: number
}

/** Runs `onKey` for each key that is pressed while `effect` runs. */
const withKeys = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  onKey: (key: string) => Effect.Effect<unknown, unknown, R2>
) =>
  Effect.flatMap(Effect.runtime<R2>(), (runtime) => {
    const listen = (data: Buffer) => void Runtime.runFork(runtime)(onKey(data.toString("latin1")))
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        process.stdin.setRawMode(true)
        process.stdin.resume()
        process.stdin.on("data", listen)
      }),
      () => effect,
      () =>
        Effect.sync(() => {
          process.stdin.off("data", listen)
          process.stdin.pause()
          process.stdin.setRawMode(false)
        })
    )
  })

/**
 * Shows a provision until it has ended, and returns the record; or until the user leaves, which ends the command. With
 * `cancels`, a signal cancels the provision, which is followed all the same; without, a signal leaves it.
 */
export const follow = (
  { id, name }: Sandbox,
  { after = 0, cancels, progress }: FollowOptions & { readonly cancels: boolean }
): Effect.Effect<Sandbox, StoreError | NotFound | Conflict | Ended, Sandboxes> =>
  Effect.gen(function* () {
    const sandboxes = yield* Sandboxes
    const { raise } = yield* Signals
    const left = yield* Deferred.make<void, Ended>()
    let cancelling = false
    const cancel = Effect.gen(function* () {
      if (cancelling) {
        const { phase } = yield* sandboxes.get(id)
        const grace = Duration.toSeconds(yield* stopGraceIn(phase?.name))
        return yield* report(
          `${eraseLine}still waiting for ${name} to end (${phase?.name ?? "not begun"}); what runs is killed ${formatDuration(grace)} after it was asked to`
        )
      }
      cancelling = true
      yield* report(`${eraseLine}cancelling ${name}; waiting for it to end`)
      yield* sandboxes.cancel(id)
    })
    const leave = Deferred.fail(left, new Ended({ exitCode: 130 }))
    const detach = Effect.zipRight(
      report(`${eraseLine}left ${name}, which goes on; \`sandboxer watch ${name}\` shows it again`),
      Deferred.fail(left, new Ended({ exitCode: 0 }))
    )
    const keys = cancels ? "d detaches, Ctrl-C cancels" : "d or Ctrl-C leaves it"
    const onKey = (key: string) =>
      key === "\u0003" ? Effect.sync(raise) : key === "d" || key === "q" ? detach : Effect.void
    const mode =
      progress !== "auto" ? progress : process.stderr.isTTY && process.stdin.isTTY ? "tty" : "lines"
    const shown: Effect.Effect<void, StoreError | NotFound, Sandboxes> = {
      tty: withKeys(showStatusLine(id, after, keys), onKey),
      lines: showLines(id, after),
      plain: showLog(id),
      json: showJson(id, after),
      none: Effect.asVoid(sandboxes.wait(id))
    }[mode]
    yield* answering(Effect.raceFirst(shown, Deferred.await(left)), cancels ? cancel : leave)
    return yield* sandboxes.get(id)
  })

/**
 * Follows a provision that this command has started, prints its record, and ends as the provision did. The State Hub is
 * notified. A signal acts on following or on notifying; in between it does nothing.
 */
export const followToCompletion = (
  sandbox: Sandbox,
  { output, ...options }: FollowOptions & { readonly output: Format }
) =>
  Effect.gen(function* () {
    const ended = yield* follow(sandbox, { ...options, cancels: true })
    yield* printOne(output, sandboxInFull, ended)
    yield* end(ofSandbox(ended))
  }).pipe(notifyHub, (command) => answering(command, Effect.void))
