/** What a recipe says while it runs. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Details } from "../domain/events/Event.js"
import type { ProvisionError } from "../domain/Failure.js"
import type { PhaseName } from "../domain/Phase.js"
import type { StoreError } from "../store/SandboxStore.js"

/**
 * A line of a job's output, not yet redacted: `end` is the offset in the job's raw output behind it; `complete` is
 * false for a piece of a line that goes on.
 */
export interface OutputLine {
  readonly job: string
  readonly end: number
  readonly text: string
  readonly complete: boolean
}

export interface PhaseOptions {
  /** When, in epoch milliseconds, where someone else knows it. */
  readonly at?: number
  /** Which of several builds entered it; then `overall` is the phase of the one that is least far. */
  readonly build?: string
  readonly overall?: PhaseName
}

export interface ReporterShape {
  /** The provision, or one of its builds, entered a phase; the sandbox's phase never goes back. */
  readonly phase: (phase: PhaseName, options?: PhaseOptions) => Effect.Effect<void, StoreError>
  /**
   * Something worth keeping, said once: `key` tells it from others, however often the recipe is run. Notes and warnings
   * beyond a number a minute are left out, and counted.
   */
  readonly note: (key: string, message: string, details?: Details) => Effect.Effect<void, StoreError>
  readonly warning: (key: string, message: string, details?: Details) => Effect.Effect<void, StoreError>
  /** Output for the log, redacted on the way; lines that the log has already are passed over. */
  readonly output: (lines: ReadonlyArray<OutputLine>) => Effect.Effect<void, StoreError>
  /** Keeps a text beside the log, redacted, under this name; gives its path. */
  readonly keep: (name: string, text: string) => Effect.Effect<string, StoreError>
  /** Tells of what was left out and was not told of yet. */
  readonly settle: Effect.Effect<void, StoreError>
  /** Never ends, but fails where a limit of the plan is passed: a phase takes too long, or nothing is printed. */
  readonly overdue: Effect.Effect<never, ProvisionError>
  /** The last lines of the log, redacted, oldest first. */
  readonly tail: Effect.Effect<ReadonlyArray<string>>
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string
}

/** @category services */
export class Reporter extends Context.Tag("sandboxer/Reporter")<Reporter, ReporterShape>() {}
