/** Events of `create` and `retry`, before anything runs. */
import * as Schema from "effect/Schema"
import { PhaseName } from "../Phase.js"
import type { Plan } from "../Plan.js"
import { kind, type New } from "./Kind.js"

/**
 * Someone asked for a provision: with `create` (`profile`), or with `retry` (`attempt`, and the log of the attempt
 * before it).
 */
export const Requested = kind(
  "requested",
  Schema.Union(
    Schema.Struct({ profile: Schema.String }),
    Schema.Struct({ attempt: Schema.Int, logPath: Schema.NullOr(Schema.String) })
  )
)
export type NewRequested = New<typeof Requested, { readonly attempt: number }>

export const requested = (profile: string): NewRequested => ({
  type: "requested",
  phase: null,
  message: `requested from ${profile}`,
  data: { profile },
  occurrence: { attempt: 1 }
})

export const requestedAgain = (attempt: number, logPath: string | null): NewRequested => ({
  type: "requested",
  phase: null,
  message: `requested again: attempt ${attempt}`,
  data: { attempt, logPath },
  occurrence: { attempt }
})

/** What a provision is going to do: the phases as far as they are known, and a sentence for each step. */
export const Planned = kind(
  "planned",
  Schema.Struct({
    mode: Schema.String,
    host: Schema.String,
    phases: Schema.Array(PhaseName),
    steps: Schema.Array(Schema.String)
  })
)
export type NewPlanned = New<typeof Planned>

const fromTo = ([first, ...more]: ReadonlyArray<string>) =>
  first === undefined ? "" : `, ${[first, ...more.slice(-1)].join(" to ")}`

export const planned = ({ description, mode, phases, placement }: Plan): NewPlanned => ({
  type: "planned",
  phase: null,
  message: `planned: ${mode} on ${placement.host}${fromTo(phases)}`,
  data: { mode, host: placement.host, phases, steps: description },
  occurrence: null
})
