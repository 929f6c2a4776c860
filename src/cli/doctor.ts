import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { Doctor } from "../doctor/Doctor.js"
import type { Check } from "../domain/Check.js"
import { UsageError } from "../domain/Errors.js"
import { examine, type Mismatch, type ReconcileServices } from "../sandboxes/Reconcile.js"
import { end, failed as failure } from "./ExitCode.js"
import * as options from "./Options.js"
import { type Format, type Kind, printList } from "./Printer.js"

const checks: Kind<Check> = {
  kind: "Check",
  document: ({ detail, hint, name, status }) => ({ name, status, detail, hint }),
  name: ({ name }) => name,
  columns: [
    ["status", ({ status }) => status],
    ["check", ({ name }) => name],
    ["detail", ({ detail, hint }) => (hint === null ? detail : `${detail}\n  hint: ${hint}`)]
  ]
}

/** A mismatch, and the result of repairing it. */
interface Mended {
  readonly mismatch: Mismatch
  readonly outcome: "mended" | "would-mend" | "failed" | "left"
  readonly detail: string | null
}

const mismatches: Kind<Mended> = {
  kind: "Mismatch",
  document: ({ detail, mismatch: { action, kind, what }, outcome }) => ({
    mismatch: kind,
    what,
    action,
    outcome,
    detail
  }),
  name: ({ mismatch }) => mismatch.what,
  columns: [
    ["outcome", ({ outcome }) => outcome],
    ["mismatch", ({ mismatch }) => mismatch.kind],
    ["action", ({ mismatch }) => mismatch.action ?? "-"],
    ["what", ({ detail, mismatch }) => (detail === null ? mismatch.what : `${mismatch.what}\n  ${detail}`)]
  ]
}

const mend = (mismatch: Mismatch, dryRun: boolean): Effect.Effect<Mended, never, ReconcileServices> =>
  mismatch.action === null
    ? Effect.succeed({ mismatch, outcome: "left", detail: null })
    : dryRun
      ? Effect.succeed({ mismatch, outcome: "would-mend", detail: null })
      : Effect.match(mismatch.mend, {
          onSuccess: (): Mended => ({ mismatch, outcome: "mended", detail: null }),
          onFailure: ({ hint, message }): Mended => ({
            mismatch,
            outcome: "failed",
            detail: `${message}; ${hint}`
          })
        })

const reconcile = (output: Format, dryRun: boolean) =>
  Effect.gen(function* () {
    const found = yield* examine
    const mended = yield* Effect.forEach(found, (mismatch) => mend(mismatch, dryRun))
    yield* printList(output, mismatches, mended)
    const failed = mended.filter(({ outcome }) => outcome === "failed").length
    if (failed === 0) return
    yield* end(
      failure(
        15,
        `${failed} of ${found.length} mismatches could not be mended`,
        "each above says why; run this again when that is set right"
      )
    )
  })

const doctorOptions = {
  output: options.output,
  fix: options.flag("fix", "Find what was left behind by whoever was killed, and mend it"),
  dryRun: options.flag("dry-run", "With --fix: list what would be mended, and change nothing")
}

/** `store` provides what `--fix` needs; without that, the database is neither opened nor created. */
export const doctor = <E>(store: Layer.Layer<ReconcileServices, E>) =>
  Command.make("doctor", doctorOptions, ({ dryRun, fix, output }) =>
    Effect.gen(function* () {
      if (fix) return yield* Effect.provide(reconcile(output, dryRun), store)
      if (dryRun) {
        return yield* new UsageError({
          reason: "usage",
          message: "--dry-run goes with --fix: without it nothing is changed in any case",
          hint: "`sandboxer doctor --fix --dry-run` lists what would be mended"
        })
      }
      const found = yield* Effect.flatMap(Doctor, ({ examine }) => examine)
      yield* printList(output, checks, found)
      const lacking = found.flatMap(({ name, status }) => (status === "missing" ? [name] : []))
      if (lacking.length === 0) return
      yield* end(
        failure(
          15,
          `builds need what is missing here: ${lacking.join(", ")}`,
          "each check above says what to do about it"
        )
      )
    })
  ).pipe(
    Command.withDescription(
      "Check whether this machine has what builds need, and say what to do; with --fix, clean up after a crash"
    )
  )
