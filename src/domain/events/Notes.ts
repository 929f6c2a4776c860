/** Events that say something in words: notes and warnings, of a recipe and of sandboxer itself. */
import type { PhaseName } from "../Phase.js"
import { Details, kind, type New } from "./Kind.js"

/** Something worth knowing. `data` is what its author gave to it. */
export const Note = kind("note", Details)

/** Something that a person should look at; the provision continues. `data` is what its author gave to it. */
export const Warning = kind("warning", Details)

/** A recipe reported it under a key of its own. */
interface Reported {
  readonly by: "recipe"
  readonly attempt: number
  readonly key: string
}

/** Stands for notes that were too many to keep; `at` is on the monotonic clock of the term's supervisor, in seconds. */
interface LeftOut {
  readonly by: "budget"
  readonly attempt: number
  readonly term: number
  readonly at: number
}

export type NewWarning = New<typeof Warning, Reported | LeftOut>
export type NewNote = New<
  typeof Note,
  Reported | LeftOut | { readonly by: "receipt"; readonly attempt: number } | { readonly by: "destroy" }
>

interface Report {
  readonly attempt: number
  readonly key: string
  readonly message: string
  readonly phase: PhaseName | null
  readonly details?: Details | undefined
}

const reported = ({ attempt, details = {}, key, message, phase }: Report) => ({
  phase,
  message,
  data: details,
  occurrence: { by: "recipe" as const, attempt, key }
})

/** A note of a recipe: one for each key and attempt. */
export const note = (report: Report): NewNote => ({ type: "note", ...reported(report) })

/** A warning of a recipe: one for each key and attempt. */
export const warning = (report: Report): NewWarning => ({ type: "warning", ...reported(report) })

/** Says how many notes, warnings and phases were not kept; a warning if a warning was among them. */
export const leftOut = (options: {
  readonly occurrence: Omit<LeftOut, "by">
  readonly type: "note" | "warning"
  readonly phase: PhaseName | null
  readonly message: string
  readonly count: number
}): NewNote | NewWarning => ({
  type: options.type,
  phase: options.phase,
  message: options.message,
  data: { leftOut: options.count },
  occurrence: { by: "budget", ...options.occurrence }
})

/** The receipt of an attempt was written to this path. */
export const receiptWritten = (attempt: number, path: string): NewNote => ({
  type: "note",
  phase: null,
  message: `receipt: ${path}`,
  data: { receipt: path },
  occurrence: { by: "receipt", attempt }
})

/** `destroy` deleted the artifacts of the sandbox. */
export const artifactsDeleted: NewNote = {
  type: "note",
  phase: null,
  message: "its artifacts were deleted",
  data: {},
  occurrence: { by: "destroy" }
}
