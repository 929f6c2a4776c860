/** How a provision ends: what of it is journaled, and what a record says of it. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Event from "../domain/events/Event.js"
import { Failure, type FailureReason, runbookOf } from "../domain/Failure.js"
import type { Plan } from "../domain/Plan.js"
import { Endpoint, expiry, type Sandbox } from "../domain/Sandbox.js"
import type { HostError } from "../hosts/Host.js"
import type { RecipeError } from "../recipe/Recipe.js"
import type { Commit } from "../store/SandboxStore.js"

/** How a provision ended. It is journaled before anything is cleaned up, so that the recipe never runs again. */
export const End = Schema.Union(
  Schema.Struct({ state: Schema.Literal("ready"), endpoint: Schema.NullOr(Endpoint) }),
  Schema.Struct({ state: Schema.Literal("failed"), failure: Failure }),
  Schema.Struct({ state: Schema.Literal("cancelled") })
)
export type End = typeof End.Type
export type FailedEnd = Extract<End, { state: "failed" }>
/** The step that it is journaled as. */
export const endKey = "end"

const ofHost: Partial<Record<HostError["reason"], FailureReason>> = {
  unreachable: "host-unreachable",
  refused: "host-refused",
  "key-changed": "host-key-changed",
  "program-missing": "command-missing",
  "disk-full": "disk-full"
}

const reasonOf = (error: RecipeError): FailureReason => {
  switch (error._tag) {
    case "ProvisionError":
      return error.reason
    case "HostError":
      return ofHost[error.reason] ?? "host-files"
    case "StoreError":
      return error.reason === "not-writable" ? "disk-space" : "internal"
  }
}

/** The failure that is kept in the record for whatever went wrong. */
export const failureOf = (error: RecipeError, logTail: ReadonlyArray<string>): Failure => {
  const reason = reasonOf(error)
  const own = error._tag === "ProvisionError" ? error.logTail : []
  return {
    reason,
    message: error.message,
    hint: error.hint,
    logTail: own.length > 0 ? own : logTail,
    runbook: runbookOf(reason)
  }
}

/** Nothing is wrong with what was interrupted: it can be built again. */
export const withWayOut = (end: End, { name }: Sandbox): End =>
  end.state === "failed" && end.failure.reason === "interrupted"
    ? {
        ...end,
        failure: {
          ...end.failure,
          hint: `${end.failure.hint.replace(/; create the sandbox again$/, "")}; build it again: \`sandboxer retry ${name}\``
        }
      }
    : end

export const outcome = (end: End, attempt: number, plan: Plan, proof: Event.Proof) =>
  Effect.map(DateTime.now, (now): Pick<Required<Commit>, "change" | "events"> => {
    const expiresAt = expiry(now, plan.ttlSeconds)
    switch (end.state) {
      case "ready":
        return {
          change: { state: "ready", readyAt: now, endedAt: now, expiresAt, endpoint: end.endpoint },
          events: [Event.ready(attempt)]
        }
      case "failed":
        return {
          change: { state: "failed", endedAt: now, expiresAt, failure: end.failure },
          events: [Event.failed(attempt, end.failure)]
        }
      case "cancelled":
        return {
          change: { state: "cancelled", endedAt: now, expiresAt },
          events: [Event.cancelled(attempt, proof)]
        }
    }
  })
