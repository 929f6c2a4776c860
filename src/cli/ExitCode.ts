/** What a command ends with: its exit code, and what it says when it failed. */

import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import type { Conflict, NotFound, UsageError } from "../domain/Errors.js"
import { exitCodeOf, type Failure } from "../domain/Failure.js"
import type { Sandbox } from "../domain/Sandbox.js"
import type { HostError } from "../hosts/Host.js"
import type { HubServerError } from "../hub/server/HubServer.js"
import type { HubStoreError } from "../hub/server/HubStore.js"
import type { StoreError } from "../store/SandboxStore.js"
import { installed } from "./PackageRoot.js"
import { printable } from "./Printer.js"

/**
 * A command that has said all it has to say, and ends with an exit code other than 0.
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

const said = (exitCode: number, message: string, hint: string): Ending => ({
  exitCode,
  message: [`error: ${printable(message)}`, `hint: ${printable(hint)}`]
})

const hostExitCodes: Partial<Record<HostError["reason"], number>> = {
  refused: 4,
  "key-changed": 4,
  unreachable: 14
}

/** How a command ends for an error. */
export const ofError = (error: CommandError): Ending => {
  switch (error._tag) {
    case "Ended":
      return { exitCode: error.exitCode, message: [] }
    case "UsageError": {
      const { location } = error
      const where = location === undefined ? "" : `${location.file}:${location.line}:${location.column}: `
      return said(2, `${where}${error.message}`, error.hint)
    }
    case "NotFound":
      return said(3, error.message, error.hint)
    case "Conflict":
      return said(13, error.message, error.hint)
    case "HostError":
      return said(hostExitCodes[error.reason] ?? 15, error.message, error.hint)
    case "HubServerError":
      return said(error.reason === "port-taken" ? 13 : 2, error.message, error.hint)
    case "HubStoreError":
    case "StoreError":
      return said(
        error.reason === "not-writable" || error.reason === "newer" ? 15 : 1,
        error.message,
        error.hint
      )
    default:
      return said(2, textOf(error), "`sandboxer --help`, or --help behind a command, shows what it takes")
  }
}

const textOf = ({ error }: ValidationError.ValidationError): string =>
  stripVTControlCharacters(HelpDoc.toAnsiText(error)).trim().replaceAll(/\s+/g, " ")

/**
 * How a command ends for something that nobody foresaw, with its stack where `debug` asks for it; and for Ctrl-C at a
 * question.
 */
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

const failed = (name: string, failure: Failure): ReadonlyArray<string> => [
  ...(failure.logTail.length === 0
    ? []
    : ["", ...failure.logTail.map((line) => `  | ${printable(line)}`), ""]),
  `error: ${name}: ${printable(failure.message)}`,
  `hint: ${printable(failure.hint)}`,
  ...(failure.runbook === null ? [] : [`see: ${join(installed(), failure.runbook)}`])
]

/** How `create`, `wait` and `watch` end for a provision that has ended. */
export const ofSandbox = ({ failure, name, readyAt, state }: Sandbox): Ending => {
  if (failure !== null) return { exitCode: exitCodeOf(failure.reason), message: failed(name, failure) }
  // One that was destroyed meanwhile, and never was ready, was cancelled first.
  return state === "cancelled" || (state === "destroyed" && readyAt === null)
    ? { exitCode: 130, message: [`${name} was cancelled`] }
    : { exitCode: 0, message: [] }
}
