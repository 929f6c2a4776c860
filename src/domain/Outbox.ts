import type { Holder } from "./Holder.js"
import type { Note } from "./Note.js"

/** A note that waits to be delivered; `position` grows in the order in which notes were written. */
export interface WaitingNote {
  readonly position: number
  readonly note: Note
}

/** A note that the hub will never take: it is kept, and never in the way of others. */
export interface RefusedNote {
  readonly note: Note
  /** How often it was sent. */
  readonly attempts: number
  readonly reason: string
}

/** What the last delivery came to, shared by all processes; times in epoch milliseconds. */
export interface Delivering {
  /** Tries in a row that the hub did not take. */
  readonly failures: number
  /** Nobody delivers before, but who is told to. */
  readonly nextTryAt: number | null
  /** Whether it is a person who has to mend it: an address or a token that is wrong. */
  readonly paused: boolean
  /** The hub that it was, where it says which: what is known of one does not count for another. */
  readonly target: string | null
  readonly answer: string | null
  readonly answeredAt: number | null
}

export const neverDelivered: Delivering = {
  failures: 0,
  nextTryAt: null,
  paused: false,
  target: null,
  answer: null,
  answeredAt: null
}

/** The right to deliver: one process has it at a time. `term` is the fence, as that of a supervisor's lease. */
export interface Sender {
  readonly term: number
  /** Null where nobody delivers. */
  readonly holder: Holder | null
  /** When it last wrote what became of notes, in epoch milliseconds. */
  readonly renewedAt: number
  readonly delivering: Delivering
}

/** What became of notes that were sent. */
export interface Settlement {
  readonly delivered: ReadonlyArray<number>
  readonly refused: { readonly position: number; readonly reason: string } | undefined
  /** Those that have to be sent again. */
  readonly again: ReadonlyArray<number>
  readonly delivering: Delivering
}

/** The numbers of `hub status`. */
export interface OutboxStatus {
  readonly waiting: number
  readonly delivered: number
  readonly refused: number
  readonly sender: Sender
}
