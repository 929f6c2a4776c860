/** What the files and processes of this machine fail with, as a `HostError`. */
import * as Effect from "effect/Effect"
import { describeError, type ErrorKind, errorKind } from "../../domain/ErrorKind.js"
import type { ProcessError } from "../../internal/Processes.js"
import { HostError } from "../Host.js"

/** The name of this machine among the hosts. */
export const name = "local"

const reasons: Partial<Record<ErrorKind, HostError["reason"]>> = {
  "not-found": "not-found",
  exists: "exists",
  "not-permitted": "not-permitted",
  "disk-full": "disk-full"
}
const hints: Partial<Record<HostError["reason"], string>> = {
  "not-permitted": "check who owns the path and its permissions",
  "disk-full": "free some space there"
}

const hostError = (cause: unknown) => {
  const reason = reasons[errorKind(cause)] ?? "other"
  return new HostError({
    reason,
    host: name,
    message: describeError(cause),
    hint: hints[reason] ?? "check the path"
  })
}

export const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, HostError> =>
  Effect.tryPromise({ try: run, catch: hostError })

export const orUndefined = <A>(
  effect: Effect.Effect<A, HostError>
): Effect.Effect<A | undefined, HostError> =>
  Effect.catchIf(
    effect,
    (error) => error.reason === "not-found",
    () => Effect.as(Effect.void, undefined)
  )

const processReasons: Record<ProcessError["reason"], HostError["reason"]> = {
  "not-found": "program-missing",
  "not-permitted": "not-permitted",
  timeout: "no-answer",
  other: "other"
}

export const processError = (error: ProcessError) =>
  new HostError({
    reason: processReasons[error.reason],
    host: name,
    message: error.message,
    hint:
      error.reason === "not-found"
        ? `install ${error.program}, or put it on the PATH`
        : (hints[processReasons[error.reason]] ?? "run the program by hand and see what it says")
  })
