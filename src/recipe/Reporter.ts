/** Reports from a running recipe: phases, notes, warnings and output. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Details } from "../domain/events/Event.js"
import type { ProvisionError } from "../domain/Failure.js"
import type { PhaseName } from "../domain/Phase.js"
import type { StoreError } from "../store/SandboxStore.js"

/**
 * A line of a Job's output, not yet redacted. `end` is the offset after it in the raw output; `complete` is false for a piece
 * of a line that continues.
 */
export interface OutputLine {
  readonly job: string
  readonly end: number
  readonly text: string
  readonly complete: boolean
}

export interface PhaseOptions {
  /** The time in epoch milliseconds, if the source knows it. */
  readonly at?: number
  /** Which of several builds entered the phase; `overall` is then the phase of the slowest build. */
  readonly build?: string
  readonly overall?: PhaseName
}

export interface ReporterShape {
  /** The provision, or one of its builds, entered a phase; the sandbox's phase never goes back. */
  readonly phase: (phase: PhaseName, options?: PhaseOptions) => Effect.Effect<void, StoreError>
  /**
   * Records a note once for its `key`, however often the recipe runs. Beyond a number a minute, notes and warnings are only
   * counted.
   */
  readonly note: (key: string, message: string, details?: Details) => Effect.Effect<void, StoreError>
  readonly warning: (key: string, message: string, details?: Details) => Effect.Effect<void, StoreError>
  /** Appends output to the log, redacted. Lines that the log already has are skipped. */
  readonly output: (lines: ReadonlyArray<OutputLine>) => Effect.Effect<void, StoreError>
  /** Saves a redacted text next to the log under this name, and returns its path. */
  readonly keep: (name: string, text: string) => Effect.Effect<string, StoreError>
  /** Records how many reports were left out since the last time. */
  readonly settle: Effect.Effect<void, StoreError>
  /** Never ends. Fails when a limit of the plan is exceeded: a phase takes too long, or nothing is printed. */
  readonly overdue: Effect.Effect<never, ProvisionError>
  /** The last lines of the log, redacted, oldest first. */
  readonly tail: Effect.Effect<ReadonlyArray<string>>
  /** Redacts the secrets in a text. */
  readonly redact: (text: string) => string
}

/** @category services */
export class Reporter extends Context.Tag("sandboxer/Reporter")<Reporter, ReporterShape>() {}
