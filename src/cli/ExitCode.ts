/** How a command ends: its exit code, and what it reports on stderr. */

import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Conflict, NotFound, UsageError } from "../domain/Errors.js"
import { exitCodeOf, type Failure } from "../domain/Failure.js"
import type { Sandbox } from "../domain/Sandbox.js"
import type { HostError } from "../hosts/Host.js"
import type { HubServerError } from "../hub/server/HubServer.js"
import type { HubStoreError } from "../hub/server/HubStore.js"
import type { StoreError } from "../store/SandboxStore.js"
import { packageRoot } from "./PackageRoot.js"
import { printable, report } from "./Printer.js"

/**
 * Ends the command with an exit code, without another message.
 * @category errors
 */
export class Ended extends Schema.TaggedError<Ended>("sandboxer/cli/Ended")("Ended", {
  exitCode: Schema.Int
}) {}

export type CommandError =
  | Conflict
  | Ended
  | HostError
  | HubServerError
  | HubStoreError
  | NotFound
  | StoreError
  | UsageError
  | ValidationError.ValidationError

export interface Ending {
  readonly exitCode: number
  /** Lines for stderr. */
  readonly message: ReadonlyArray<string>
}

/** The ending of a command that failed. */
export const failed = (exitCode: number, message: string, hint: string): Ending => ({
  exitCode,
  message: [`error: ${printable(message)}`, `hint: ${printable(hint)}`]
})

/** Reports an ending, and ends the command with its exit code where that is not 0. */
export const end = ({ exitCode, message }: Ending): Effect.Effect<void, Ended> =>
  Effect.zipRight(report(...message), exitCode === 0 ? Effect.void : new Ended({ exitCode }))

const hostExitCodes: Partial<Record<HostError["reason"], number>> = {
  refused: 4,
  "key-changed": 4,
  unreachable: 14
}

/** The ending of a command that failed with an error that is in its type. */
export const ofError = (error: CommandError): Ending => {
  switch (error._tag) {
    case "Ended":
      return { exitCode: error.exitCode, message: [] }
    case "UsageError": {
      const { location } = error
      const where = location === undefined ? "" : `${location.file}:${location.line}:${location.column}: `
      return failed(2, `${where}${error.message}`, error.hint)
    }
    case "NotFound":
      return failed(3, error.message, error.hint)
    case "Conflict":
      return failed(13, error.message, error.hint)
    case "HostError":
      return failed(hostExitCodes[error.reason] ?? 15, error.message, error.hint)
    case "HubServerError":
      return failed(error.reason === "port-taken" ? 13 : 2, error.message, error.hint)
    case "HubStoreError":
    case "StoreError":
      return failed(
        error.reason === "not-writable" || error.reason === "newer" ? 15 : 1,
        error.message,
        error.hint
      )
    default:
      return failed(2, textOf(error), "`sandboxer --help`, or --help after a command, shows what it takes")
  }
}

const textOf = ({ error }: ValidationError.ValidationError): string =>
  stripVTControlCharacters(HelpDoc.toAnsiText(error)).trim().replaceAll(/\s+/g, " ")

/** The ending of a command that met an unexpected error, with its stack if `debug`, or that was interrupted. */
export const ofDefect = (cause: Cause.Cause<unknown>, debug: boolean): Ending => {
  if (Cause.isInterruptedOnly(cause)) return { exitCode: 130, message: [] }
  const [defect] = Cause.defects(cause)
  const message = defect instanceof Error ? defect.message : String(defect ?? "interrupted")
  return {
    exitCode: 1,
    message: [
      `error: ${printable(message)}`,
      debug ? Cause.pretty(cause) : "hint: this is a bug; --log-level debug says more"
    ]
  }
}

/** The ending of a command that followed a provision to its end. */
export const ofSandbox = ({ failure, name, readyAt, state }: Sandbox): Ending => {
  if (failure !== null) return ofFailure(name, failure)
  // One that never was ready was cancelled before it was destroyed.
  return state === "cancelled" || (state === "destroyed" && readyAt === null)
    ? { exitCode: 130, message: [`${name} was cancelled`] }
    : { exitCode: 0, message: [] }
}

const ofFailure = (name: string, { hint, logTail, message, reason, runbook }: Failure): Ending => {
  const ending = failed(exitCodeOf(reason), `${name}: ${message}`, hint)
  const tail = logTail.map((line) => `  | ${printable(line)}`)
  return {
    ...ending,
    message: [
      ...(tail.length === 0 ? [] : ["", ...tail, ""]),
      ...ending.message,
      ...(runbook === null ? [] : [`see: ${join(packageRoot(), runbook)}`])
    ]
  }
}
