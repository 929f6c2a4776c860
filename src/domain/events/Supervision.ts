/** Events of the supervisor of a provision: it starts, it takes over, it waits. */
import * as Schema from "effect/Schema"
import type { PhaseName } from "../Phase.js"
import { kind, type New, NoData } from "./Kind.js"

/** A supervisor started an attempt. */
export const Provisioning = kind("provisioning", NoData)
export type NewProvisioning = New<typeof Provisioning, { readonly attempt: number }>

export const provisioning = (attempt: number): NewProvisioning => ({
  type: "provisioning",
  phase: null,
  message: "provisioning",
  data: {},
  occurrence: { attempt }
})

/** Another supervisor continues an attempt, in this term. */
export const TakenOver = kind("taken-over", NoData)
export type NewTakenOver = New<typeof TakenOver, { readonly attempt: number; readonly term: number }>

export const takenOver = (attempt: number, term: number, phase: PhaseName | null): NewTakenOver => ({
  type: "taken-over",
  phase,
  message: "another supervisor took over",
  data: {},
  occurrence: { attempt, term }
})

const Waiting = Schema.Struct({ id: Schema.String, name: Schema.String })

/**
 * An attempt waits in a queue at this place, counted from 1; `capacity` provisions can have what it waits for at the
 * same time, and `holders` have it.
 */
export const Queued = kind(
  "queued",
  Schema.Struct({
    waitsFor: Schema.String,
    position: Schema.Int,
    capacity: Schema.Int,
    holders: Schema.Array(Waiting)
  })
)
export type NewQueued = New<typeof Queued, { readonly attempt: number; readonly resource: string }>

/** "1st", "2nd", "11th". */
const ordinal = (place: number): string => {
  const ending = Math.floor(place / 10) % 10 === 1 ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th")
  return `${place}${ending}`
}

/** Sandboxes by name and id, for people. */
export const namesOf = (sandboxes: ReadonlyArray<typeof Waiting.Type>): string =>
  sandboxes.map(({ id, name }) => `${name} (${id})`).join(", ")

export const queued = (options: {
  readonly attempt: number
  readonly resource: { readonly key: string; readonly what: string; readonly capacity: number }
  /** How many sandboxes are before it in the queue, and the first of them: as many as the capacity. */
  readonly place: { readonly ahead: number; readonly first: ReadonlyArray<typeof Waiting.Type> }
}): NewQueued => {
  const { attempt, place } = options
  const { capacity, key, what } = options.resource
  const holders = place.first.map(({ id, name }) => ({ id, name }))
  const position = place.ahead + 1
  return {
    type: "queued",
    phase: "queue",
    message: `queue: ${ordinal(position)} for ${what}, after ${namesOf(holders)}`,
    data: { waitsFor: what, position, capacity, holders },
    occurrence: { attempt, resource: key }
  }
}
